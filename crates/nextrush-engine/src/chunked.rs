//! An array that grows without a copy.

/// The elements that are allocated at once.
const CHUNK: usize = 512;

/// An array that grows in steps of equal size.
///
/// A `Vec` that has to grow copies everything, in one turn of the shard, and leaves a hole
/// of its former size in the heap: with all the arrays that have an element per connection,
/// the holes were as large as the memory in use.
#[derive(Debug)]
pub(crate) struct Chunked<T> {
    chunks: Vec<Box<[T]>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { chunks: Vec::new() }
    }
}

impl<T> Chunked<T> {
    pub(crate) fn get(&self, index: usize) -> Option<&T> {
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// The number of elements that have been made.
    pub(crate) fn len(&self) -> usize {
        self.chunks.len() * CHUNK
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.chunks.iter().flatten()
    }
}

impl<T: Default> Chunked<T> {
    /// The element at an index. Makes it, and all before it, if there is none.
    pub(crate) fn place(&mut self, index: usize) -> &mut T {
        let number = index / CHUNK;
        while self.chunks.len() <= number {
            let chunk = std::iter::repeat_with(T::default).take(CHUNK);
            self.chunks.push(chunk.collect());
        }
        &mut self.chunks[number][index % CHUNK]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_made_as_far_as_they_are_asked_for() {
        let mut array = Chunked::<u32>::default();
        assert_eq!(array.get(0), None);
        *array.place(CHUNK) = 7;
        assert_eq!(array.get(CHUNK), Some(&7));
        assert_eq!(array.get(CHUNK - 1), Some(&0));
        assert_eq!(array.get_mut(2 * CHUNK), None);
        assert_eq!(array.iter().sum::<u32>(), 7);
    }
}
