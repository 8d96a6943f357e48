//! Random durations and outcomes of what happens outside of the product.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// The durations and outcomes of steps. Each topic, user or command has random numbers of its own, as
/// the steps of different ones may come in any order.
#[derive(Clone)]
pub struct Times {
    seed: u64,
    randoms: Arc<Mutex<HashMap<String, StdRng>>>,
    /// Nothing fails any more.
    is_well: Arc<AtomicBool>,
}

impl Times {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            randoms: Arc::default(),
            is_well: Arc::default(),
        }
    }

    /// Takes some time: none, as a rule, or up to 200 ms.
    pub async fn hesitate(&self, name: &str) {
        let pause = match self.below(name, 10) {
            0..6 => return,
            6..9 => 1 + self.below(name, 19),
            _ => 20 + self.below(name, 180),
        };
        tokio::time::sleep(Duration::from_millis(pause.into())).await;
    }

    /// Returns whether something fails that does so in so many of 100 cases.
    pub fn fails(&self, name: &str, percent: u32) -> bool {
        self.below(name, 100) < percent && !self.is_well.load(Ordering::Relaxed)
    }

    /// Lets nothing fail from now on.
    pub fn get_well(&self) {
        self.is_well.store(true, Ordering::Relaxed);
    }

    fn below(&self, name: &str, end: u32) -> u32 {
        let mut randoms = self.randoms.lock();
        let random = randoms.entry(name.to_owned()).or_insert_with(|| {
            let seed = name.bytes().fold(self.seed, |seed, byte| {
                seed.wrapping_mul(31).wrapping_add(byte.into())
            });
            StdRng::seed_from_u64(seed)
        });
        random.random_range(0..end)
    }
}
