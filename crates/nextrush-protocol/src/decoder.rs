//! The decoder: the bytes of a connection become events.

use std::mem;

use crate::close::CloseFrame;
use crate::deflate::{DeflateParams, Inflater, Inflation, Window};
use crate::error::ProtocolError;
use crate::event::Event;
use crate::header::{self, Expectation, Header, MAX_HEADER, Underway};
use crate::limits::Limits;
use crate::message::Message;
use crate::opcode::Opcode;
use crate::role::Role;
use crate::{mask, utf8};

/// Turns the bytes of one connection into [`Event`]s.
///
/// Between messages a decoder is 24 bytes without any allocation. An incomplete message is
/// kept in one buffer, which grows with the bytes that arrive, up to the message limit, and
/// not with the length that a header announces.
///
/// Compressed messages are accepted [`with_deflate`](Self::with_deflate), once the handshake
/// has agreed on it, and are inflated as they arrive.
///
/// A caller with a read buffer can spare long messages that copy: [`decode_within`](Self::decode_within)
/// leaves a message in the buffer until it is complete there, and [`read_payload`](Self::read_payload)
/// reads one that is longer than the buffer straight into its own memory.
///
/// Feed it each piece of input until it returns `Ok(None)`:
///
/// ```
/// use nextrush_protocol::{Decoder, Event, Limits, ProtocolError, Role};
///
/// fn received(decoder: &mut Decoder, mut input: &mut [u8]) -> Result<(), ProtocolError> {
///     while let Some(event) = decoder.decode(&mut input)? {
///         match event {
///             Event::Text(text) => println!("{text}"),
///             Event::Close(_) => println!("good bye"),
///             _ => {}
///         }
///     }
///     Ok(())
/// }
/// # let mut decoder = Decoder::new(Role::Client, Limits::default());
/// # assert!(received(&mut decoder, &mut b"\x81\x02hi\x88\x00".to_vec()).is_ok());
/// # assert!(decoder.is_finished());
/// ```
#[derive(Debug)]
pub struct Decoder {
    /// The incomplete parts; `None` between messages.
    partial: Option<Box<Partial>>,
    // 32 bits each: a server holds a decoder for every connection.
    message_limit: u32,
    frame_limit: u32,
    role: Role,
    deflate: Receiving,
    finished: bool,
}

/// The size of the blocks in which an incomplete payload is unmasked, checked and copied, so
/// that each step finds the data of the last one in the nearest cache.
///
/// 64 KiB of masked text in two pieces take 2.4 µs instead of 2.6.
const BLOCK: usize = 8 * 1024;

/// The least rest of a payload that is worth a read of its own: a copy of less takes no longer than
/// a system call.
const LONG: usize = 16 * 1024;

/// The parts of a client's frame that is a whole message of up to 125 bytes: both first bytes that it
/// may have, the bit that its second byte must have, the greatest length beside that bit, and the
/// bytes before the payload.
const WHOLE_TEXT: u8 = header::first_byte_of_whole(Opcode::Text);
const WHOLE_BINARY: u8 = header::first_byte_of_whole(Opcode::Binary);
const MASKED: u8 = header::MASKED;
const MAX_SHORT: u8 = 125;
const SHORT_HEADER: usize = 6;

/// The compression agreed on for messages of the peer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Receiving {
    Uncompressed,
    /// Each compressed message stands alone.
    Deflate,
    /// Compressed messages may refer to earlier ones.
    DeflateWithTakeover {
        window_bits: u8,
    },
}

/// The incomplete parts of the input, and the window that later messages refer to.
#[derive(Debug, Default)]
struct Partial {
    /// The first bytes of a header.
    header: [u8; MAX_HEADER],
    header_len: u8,
    /// The frame whose payload is incomplete.
    frame: Option<OpenFrame>,
    /// The data message under way, in one frame or several.
    message: Option<Message>,
    /// The inflater of that message, if it is compressed.
    inflation: Option<Box<Inflation>>,
    /// Empty unless contexts are taken over.
    window: Window,
    /// The payload of an incomplete control frame, which may come between the fragments
    /// of a message: at most 125 bytes.
    control: Vec<u8>,
}

/// A frame whose header is complete, with the rest of its payload still to come.
#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    fin: bool,
    opcode: Opcode,
    compressed: bool,
    /// The bytes of payload still to come.
    remaining: u32,
    /// The mask, rotated to start with the next byte of payload.
    mask: [u8; 4],
}

impl Decoder {
    /// A decoder for a new connection.
    #[inline]
    #[must_use]
    pub fn new(role: Role, limits: Limits) -> Self {
        Self {
            partial: None,
            message_limit: saturate(limits.message),
            frame_limit: saturate(limits.frame),
            role,
            deflate: Receiving::Uncompressed,
            finished: false,
        }
    }

    /// Accepts compressed messages as well, as agreed on in the handshake.
    ///
    /// ```
    /// use nextrush_protocol::{Decoder, DeflateParams, Event, Inflater, Limits, Role};
    ///
    /// let mut decoder =
    ///     Decoder::new(Role::Client, Limits::default()).with_deflate(DeflateParams::default());
    ///
    /// // "Hello" of RFC 7692 §7.2.3.1.
    /// let mut bytes = [0xc1, 0x07, 0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    /// let mut inflater = Inflater::new();
    /// let event = decoder.decode_with(&mut bytes.as_mut_slice(), &mut inflater)?;
    /// assert_eq!(event, Some(Event::Text("Hello".into())));
    /// # Ok::<(), nextrush_protocol::ProtocolError>(())
    /// ```
    #[must_use]
    pub fn with_deflate(mut self, params: DeflateParams) -> Self {
        let direction = params.receiving(self.role);
        self.deflate = if direction.takeover {
            Receiving::DeflateWithTakeover {
                window_bits: direction.window_bits,
            }
        } else {
            Receiving::Deflate
        };
        self
    }

    /// Takes the next event from the front of `input`, and cuts off its bytes.
    ///
    /// `Ok(None)` means that `input` is used up; the decoder has kept an incomplete rest.
    /// Payloads are unmasked in place. A message or control frame that is complete in `input`
    /// is borrowed from there without a copy.
    ///
    /// After a close or an error all input is ignored (RFC 6455 §5.5.1, §7.1.7): `input` is
    /// used up, and the result is `Ok(None)`.
    ///
    /// # Errors
    ///
    /// The first violation of the protocol, once, after all events before it. It is found at
    /// the first byte that proves it; only a close frame, of at most 125 bytes, is judged as
    /// a whole. Both are independent of how the input is cut.
    pub fn decode<'i>(
        &mut self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Event<'i>>, ProtocolError> {
        self.decode_with(input, &mut Inflater::new())
    }

    /// Decodes with an inflater that many decoders share, so that a compressed message needs
    /// no memory beside its payload. The events are the same as of [`decode`](Self::decode),
    /// and a later call may use another inflater.
    ///
    /// # Errors
    ///
    /// The same as of [`decode`](Self::decode).
    pub fn decode_with<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'i>>, ProtocolError> {
        self.decode_within(input, 0, inflater)
    }

    /// Decodes as [`decode_with`](Self::decode_with) does, but leaves the beginning of an incomplete
    /// message in `input`, with its header, if the whole of it takes no more than `room` bytes:
    /// the caller has a place for that many from the front of `input` on. The result is `Ok(None)`
    /// then and `input` is not empty.
    ///
    /// The message is lent without a copy if its bytes are in `input` at a later call. The caller
    /// reads on until then ([`missing`](Self::missing) says how much), or gives up and calls this
    /// with `room` 0: then the decoder keeps the beginning. Only an uncompressed message in one
    /// frame is left, and a violation in what has come of its payload is found as late.
    ///
    /// ```
    /// use nextrush_protocol::{Decoder, Event, Inflater, Limits, Role};
    ///
    /// let mut decoder = Decoder::new(Role::Client, Limits::default());
    /// let mut inflater = Inflater::new();
    /// let mut buffer = *b"\x81\x05Hello";
    ///
    /// let mut input = &mut buffer[..4];
    /// assert_eq!(decoder.decode_within(&mut input, 7, &mut inflater)?, None);
    /// assert_eq!((input.len(), decoder.missing(input)), (4, 3));
    ///
    /// let event = decoder.decode_within(&mut buffer.as_mut_slice(), 7, &mut inflater)?;
    /// assert_eq!(event, Some(Event::Text("Hello".into())));
    /// # Ok::<(), nextrush_protocol::ProtocolError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The same as of [`decode`](Self::decode).
    pub fn decode_within<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        room: usize,
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'i>>, ProtocolError> {
        if self.finished || (input.is_empty() && !self.has_read_all()) {
            *input = &mut [];
            return Ok(None);
        }
        let result = match self.short_message(input) {
            // Returned from here, so that it is moved once.
            Some(Ok(event)) => return Ok(Some(event)),
            Some(Err(error)) => Err(error),
            None => self.whole_event(input),
        };
        let result = match result {
            Ok(None) if self.is_left(input, room) => return Ok(None),
            Ok(None) => self.next_event(input, inflater),
            result => result,
        };
        match result {
            Err(_) => {
                *input = &mut [];
                self.finish();
            }
            Ok(Some(Event::Close(_))) => self.finish(),
            Ok(_) => {}
        }
        result
    }

    /// The bytes that are missing in `input` to the whole message at its front. 0 if there is none that
    /// [`decode_within`](Self::decode_within) would leave there.
    #[must_use]
    pub fn missing(&self, input: &[u8]) -> usize {
        self.whole_length(input)
            .map_or(0, |whole| whole.saturating_sub(input.len()))
    }

    /// Reads more of a long binary message straight into the memory of that message: `read` appends
    /// the next bytes from the wire to the vector, which is the message so far, as many as it has
    /// spare capacity for and no more. Afterwards [`decode`](Self::decode) returns the message if it
    /// is complete, also with an empty `input`.
    ///
    /// Returns what `read` did, or `None` without a call of it: all input before has to be decoded,
    /// 16 KiB of the message must have come, and the next bytes must be another 16 KiB at least of
    /// its last frame, uncompressed. A text is checked while it is copied, so it has no such way.
    ///
    /// As always the memory grows with what has arrived, not with the announced length: the spare
    /// capacity is at most what has arrived.
    ///
    /// ```
    /// use nextrush_protocol::{Decoder, Event, Limits, ProtocolError, Role};
    ///
    /// let mut decoder = Decoder::new(Role::Client, Limits::default());
    /// let mut begun = b"\x82\x7e\x80\x00".to_vec(); // 32 KiB of binary data
    /// begun.extend([7; 16 * 1024]);
    /// assert_eq!(decoder.decode(&mut begun.as_mut_slice())?, None);
    ///
    /// let read = decoder.read_payload(|message| message.resize(message.capacity(), 7));
    /// assert!(read.is_some());
    /// let event = decoder.decode(&mut [].as_mut_slice())?;
    /// assert_eq!(event, Some(Event::Binary(vec![7; 32 * 1024].into())));
    /// # Ok::<(), ProtocolError>(())
    /// ```
    pub fn read_payload<T>(&mut self, read: impl FnOnce(&mut Vec<u8>) -> T) -> Option<T> {
        let partial = self.partial.as_deref_mut()?;
        let frame = partial.frame.as_mut()?;
        let remaining = frame.remaining as usize;
        let Some(Message::Binary(data)) = &mut partial.message else {
            return None;
        };
        let is_last = frame.fin && !frame.compressed && !frame.opcode.is_control();
        if !is_last || remaining < LONG || data.len() < LONG {
            return None;
        }
        let start = data.len();
        if data.capacity() - start < LONG {
            data.reserve_exact(remaining.min(start));
        }
        // No more than remains; an allocator may give more, and a fragment before have asked for it.
        let room = data.capacity() - start;
        if room > remaining {
            return None;
        }
        let result = read(data);
        data.truncate(start + room);
        let arrived = data.get_mut(start..).unwrap_or_default();
        frame.mask = mask::apply(frame.mask, arrived);
        // No truncation: at most `remaining`.
        frame.remaining -= arrived.len() as u32;
        Some(result)
    }

    /// Returns `true` after a close or an error.
    #[inline]
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Returns `true` if the peer is between two messages and has begun no frame.
    #[must_use]
    pub fn is_between_messages(&self) -> bool {
        self.partial
            .as_ref()
            .is_none_or(|partial| partial.is_between_messages())
    }

    /// Returns `true` if nothing is kept: a new decoder with the same settings is as good.
    #[inline]
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.partial.is_none() && !self.finished
    }

    /// The bytes allocated for incomplete input: the payload so far, room to grow, about a
    /// hundred bytes of bookkeeping, and about 48 KiB if the message is compressed. Between
    /// messages 0, or the window if contexts are taken over.
    #[inline]
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.partial
            .as_ref()
            .map_or(0, |partial| partial.allocated())
    }

    fn finish(&mut self) {
        self.finished = true;
        self.partial = None;
    }

    /// The fast path of nearly all messages of clients, with the same result as
    /// [`next_event`](Self::next_event): nothing is incomplete, and `input` starts with a whole
    /// message of up to 125 bytes, of which all is judged at once. Else returns `None` without an
    /// effect.
    #[inline]
    fn short_message<'i>(
        &self,
        input: &mut &'i mut [u8],
    ) -> Option<Result<Event<'i>, ProtocolError>> {
        let &[first, second, m0, m1, m2, m3, ..] = &**input else {
            return None;
        };
        // Without the mask bit it is more than any length of a short frame.
        let length = second ^ MASKED;
        let limit = self.message_limit.min(self.frame_limit);
        let is_short = length <= MAX_SHORT && u32::from(length) <= limit;
        let is_message = first == WHOLE_TEXT || first == WHOLE_BINARY;
        let end = SHORT_HEADER + usize::from(length);
        if !is_short
            || !is_message
            || end > input.len()
            || self.role != Role::Server
            || self.partial.is_some()
        {
            return None;
        }
        let payload = &mut cut(input, end)[SHORT_HEADER..];
        mask::apply([m0, m1, m2, m3], payload);
        Some(match first {
            WHOLE_TEXT => utf8::check(payload)
                .map(|text| Event::Text(text.into()))
                .ok_or(ProtocolError::InvalidText),
            _ => Ok(Event::Binary((&*payload).into())),
        })
    }

    /// The fast path of nearly all other events, with the same result as
    /// [`next_event`](Self::next_event): nothing is incomplete, and `input` starts with a
    /// whole event. Else returns `None` without an effect.
    fn whole_event<'i>(
        &self,
        input: &mut &'i mut [u8],
    ) -> Result<Option<Event<'i>>, ProtocolError> {
        if self.partial.is_some() {
            return Ok(None);
        }
        let Some((header, length)) = self.expectation().read(input)? else {
            return Ok(None);
        };
        let is_whole = input.len() - length >= header.length as usize;
        if !header.fin || header.compressed || !is_whole {
            return Ok(None);
        }
        cut(input, length);
        let mut frame = OpenFrame::from(header);
        let payload = frame.take_payload(input, usize::MAX);
        frame.lend(payload)
    }

    /// The length of the whole uncompressed message at the front of `input`, header included; `None` if
    /// something else is there, or not all of its header, or if something before is incomplete.
    #[cold]
    fn whole_length(&self, input: &[u8]) -> Option<usize> {
        if self.partial.is_some() {
            return None;
        }
        // An error is found again by those that decode.
        let (header, length) = self.expectation().read(input).ok()??;
        let is_message = header.fin && !header.compressed && !header.opcode.is_control();
        is_message.then_some(length + header.length as usize)
    }

    /// Returns whether an incomplete message stays in `input`, which can grow to `room` bytes.
    fn is_left(&self, input: &[u8], room: usize) -> bool {
        room > input.len() && self.whole_length(input).is_some_and(|whole| whole <= room)
    }

    /// Returns whether [`read_payload`](Self::read_payload) has read the last byte of a frame.
    fn has_read_all(&self) -> bool {
        let frame = self.partial.as_deref().and_then(|partial| partial.frame);
        frame.is_some_and(|frame| frame.is_complete())
    }

    fn next_event<'i>(
        &mut self,
        input: &mut &'i mut [u8],
        inflater: &mut Inflater,
    ) -> Result<Option<Event<'i>>, ProtocolError> {
        loop {
            let (mut frame, is_new) = match self.take_open_frame() {
                Some(frame) => (frame, false),
                None => match self.read_header(input)? {
                    Some(header) => (OpenFrame::from(header), true),
                    None => return Ok(None),
                },
            };
            if is_new && frame.is_event_within(input) {
                let payload = frame.take_payload(input, usize::MAX);
                let event = frame.lend(payload)?;
                self.release_if_idle();
                return Ok(event);
            }

            let message_limit = self.message_limit as usize;
            let partial = self.partial.get_or_insert_default();
            if is_new {
                partial.begin(frame, inflater)?;
            }
            partial.append(&mut frame, input, message_limit, inflater)?;
            if !frame.is_complete() {
                partial.frame = Some(frame);
                return Ok(None);
            }
            if frame.fin && frame.compressed {
                partial.end_inflation(self.deflate, inflater)?;
            }
            if let Some(event) = partial.end(frame)? {
                self.release_if_idle();
                return Ok(Some(event));
            }
        }
    }

    fn take_open_frame(&mut self) -> Option<OpenFrame> {
        self.partial.as_mut()?.frame.take()
    }

    /// Takes a header from the front of `input`, continuing an incomplete one; keeps it if it
    /// is still incomplete.
    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, ProtocolError> {
        let expectation = self.expectation();
        let kept = self
            .partial
            .as_deref()
            .map_or(0, |partial| partial.header_len);
        if kept == 0
            && let Some((header, length)) = expectation.read(input)?
        {
            cut(input, length);
            return Ok(Some(header));
        }
        if input.is_empty() {
            return Ok(None);
        }

        let partial = self.partial.get_or_insert_default();
        let filled = partial.fill_header(input);
        let known = usize::from(partial.header_len);
        match expectation.read(&partial.header[..known])? {
            Some((header, length)) => {
                // The buffer may have taken more than the header; the rest stays in the
                // input.
                cut(input, length - usize::from(kept));
                partial.header_len = 0;
                Ok(Some(header))
            }
            None => {
                cut(input, filled);
                Ok(None)
            }
        }
    }

    fn expectation(&self) -> Expectation {
        let underway = |partial: &Partial| {
            let message = partial.message.as_ref()?;
            Some(Underway {
                length: message.len(),
                compressed: partial.inflation.is_some(),
            })
        };
        Expectation {
            role: self.role,
            frame_limit: self.frame_limit,
            message_limit: self.message_limit,
            deflate: self.deflate != Receiving::Uncompressed,
            message: self.partial.as_deref().and_then(underway),
        }
    }

    fn release_if_idle(&mut self) {
        self.partial.take_if(|partial| partial.is_idle());
    }
}

impl Partial {
    /// Fills up `header` from the front of `input`. Returns the number of bytes.
    fn fill_header(&mut self, input: &[u8]) -> usize {
        let free = &mut self.header[usize::from(self.header_len)..];
        let count = free.len().min(input.len());
        free[..count].copy_from_slice(&input[..count]);
        self.header_len += count as u8;
        count
    }

    fn begin(&mut self, frame: OpenFrame, inflater: &mut Inflater) -> Result<(), ProtocolError> {
        match frame.opcode {
            Opcode::Text => self.message = Some(Message::text()),
            Opcode::Binary => self.message = Some(Message::binary()),
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => return Ok(()),
        }
        if frame.compressed {
            self.inflation = Some(inflater.begin(&self.window)?);
        }
        Ok(())
    }

    /// Adds the part of `frame` that is in `input`.
    fn append(
        &mut self,
        frame: &mut OpenFrame,
        input: &mut &mut [u8],
        message_limit: usize,
        inflater: &mut Inflater,
    ) -> Result<(), ProtocolError> {
        if frame.opcode.is_control() {
            let payload = frame.take_payload(input, usize::MAX);
            self.control.extend_from_slice(payload);
            return Ok(());
        }
        let Some(message) = &mut self.message else {
            return Ok(());
        };
        if let Some(inflation) = &mut self.inflation {
            let payload = frame.take_payload(input, usize::MAX);
            return inflation.push(payload, message, message_limit, &self.window, inflater);
        }
        let bound = frame.bound(message.len(), message_limit);
        message.make_room(input.len().min(frame.remaining as usize), bound);
        while !frame.is_complete() && !input.is_empty() {
            message.push(frame.take_payload(input, BLOCK))?;
        }
        Ok(())
    }

    /// Inflates the end of a compressed message and returns its inflater.
    fn end_inflation(
        &mut self,
        receiving: Receiving,
        inflater: &mut Inflater,
    ) -> Result<(), ProtocolError> {
        let (Some(mut inflation), Some(message)) = (self.inflation.take(), &mut self.message)
        else {
            return Ok(());
        };
        inflation.finish(inflater)?;
        inflater.give_back(inflation);
        if let Receiving::DeflateWithTakeover { window_bits } = receiving {
            self.window.slide(message, window_bits);
        }
        Ok(())
    }

    /// The event that `frame` completes, if it does.
    fn end(&mut self, frame: OpenFrame) -> Result<Option<Event<'static>>, ProtocolError> {
        match frame.opcode {
            Opcode::Text | Opcode::Binary | Opcode::Continuation if !frame.fin => Ok(None),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {
                self.message.take().map(Message::finish).transpose()
            }
            Opcode::Ping => Ok(Some(Event::Ping(mem::take(&mut self.control).into()))),
            Opcode::Pong => Ok(Some(Event::Pong(mem::take(&mut self.control).into()))),
            Opcode::Close => Ok(Some(Event::Close(CloseFrame::parse(&self.control)?))),
        }
    }

    fn is_between_messages(&self) -> bool {
        self.header_len == 0 && self.frame.is_none() && self.message.is_none()
    }

    fn is_idle(&self) -> bool {
        self.is_between_messages() && self.window.is_empty()
    }

    fn allocated(&self) -> usize {
        let message = self.message.as_ref().map_or(0, Message::capacity);
        let inflation = self.inflation.as_ref().map_or(0, |_| Inflation::ALLOCATED);
        size_of::<Self>() + message + inflation + self.window.allocated() + self.control.capacity()
    }
}

impl OpenFrame {
    fn is_complete(&self) -> bool {
        self.remaining == 0
    }

    /// The longest that the message of this frame can become, of which `length` bytes have arrived.
    fn bound(&self, length: usize, message_limit: usize) -> usize {
        if self.fin {
            length + self.remaining as usize
        } else {
            message_limit
        }
    }

    /// Returns `true` if the payload is complete in `input` and is a whole event.
    fn is_event_within(&self, input: &[u8]) -> bool {
        let is_part = self.compressed || !self.fin || self.opcode == Opcode::Continuation;
        !is_part && self.remaining as usize <= input.len()
    }

    /// Cuts the payload of this frame, at most `most` bytes, from the front of `input` and
    /// unmasks it.
    fn take_payload<'i>(&mut self, input: &mut &'i mut [u8], most: usize) -> &'i mut [u8] {
        let length = input.len().min(self.remaining as usize).min(most);
        let payload = cut(input, length);
        self.mask = mask::apply(self.mask, payload);
        // No truncation: `length` is at most `remaining`.
        self.remaining -= length as u32;
        payload
    }

    /// The event of this frame with its whole `payload`; `None` if it is a part of a message.
    fn lend<'i>(&self, payload: &'i [u8]) -> Result<Option<Event<'i>>, ProtocolError> {
        match self.opcode {
            Opcode::Text if self.fin => {
                let text = utf8::check(payload).ok_or(ProtocolError::InvalidText)?;
                Ok(Some(Event::Text(text.into())))
            }
            Opcode::Binary if self.fin => Ok(Some(Event::Binary(payload.into()))),
            Opcode::Text | Opcode::Binary | Opcode::Continuation => Ok(None),
            Opcode::Ping => Ok(Some(Event::Ping(payload.into()))),
            Opcode::Pong => Ok(Some(Event::Pong(payload.into()))),
            Opcode::Close => Ok(Some(Event::Close(CloseFrame::parse(payload)?))),
        }
    }
}

impl From<Header> for OpenFrame {
    fn from(header: Header) -> Self {
        Self {
            fin: header.fin,
            opcode: header.opcode,
            compressed: header.compressed,
            remaining: header.length,
            mask: header.mask,
        }
    }
}

/// Splits off the first `length` bytes of `input`, which has at least as many.
fn cut<'i>(input: &mut &'i mut [u8], length: usize) -> &'i mut [u8] {
    let (front, rest) = mem::take(input).split_at_mut(length);
    *input = rest;
    front
}

/// The limit in 32 bits.
fn saturate(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
