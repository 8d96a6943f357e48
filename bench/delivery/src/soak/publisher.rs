//! Another server that publishes over HTTP.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::api::Api;
use crate::soak::{Faults, Settings, lock};

/// The channel with updates of this size, and how many of them there are a second.
pub(super) const LARGE: &str = "large-1";
const LARGE_BYTES: usize = 32 * 1024;
const LARGE_RATE: f64 = 4.0;
const SMALL_BYTES: usize = 200;
const STEP: Duration = Duration::from_millis(100);

/// The offset of the last publication of each stream, as far as somebody was told.
#[derive(Clone, Debug, Default)]
pub(super) struct Tops(Arc<Mutex<HashMap<String, u64>>>);

impl Tops {
    pub(super) fn see(&self, stream: &str, offset: u64) {
        let mut tops = lock(&self.0);
        match tops.get_mut(stream) {
            Some(top) => *top = offset.max(*top),
            None => drop(tops.insert(stream.to_owned(), offset)),
        }
    }

    pub(super) fn of(&self, stream: &str) -> u64 {
        lock(&self.0).get(stream).copied().unwrap_or(0)
    }
}

/// The threads that publish.
#[derive(Debug)]
pub(super) struct Publishers {
    has_to_stop: Arc<AtomicBool>,
    running: Vec<JoinHandle<()>>,
}

impl Publishers {
    pub(super) fn start(api: &Api, settings: &Settings, tops: &Tops, faults: &Faults) -> Self {
        let news = (0..settings.channels).map(|number| format!("news-{number}"));
        let desks = (0..settings.desks).map(|number| format!("desk-{number}"));
        let small: Vec<_> = news.chain(desks).collect();
        let has_to_stop = Arc::new(AtomicBool::new(false));
        let all = [
            (small, settings.rate, SMALL_BYTES),
            (vec![LARGE.to_owned()], LARGE_RATE, LARGE_BYTES),
        ];
        let running = all.map(|(channels, rate, bytes)| {
            let (stop, api) = (Arc::clone(&has_to_stop), api.clone());
            let (tops, faults) = (tops.clone(), faults.clone());
            thread::spawn(move || {
                let begun = Instant::now();
                let padding = "x".repeat(bytes);
                for number in 0_u32.. {
                    let due = begun + Duration::from_secs_f64(f64::from(number) / rate);
                    while Instant::now() < due && !stop.load(Ordering::Relaxed) {
                        thread::sleep(STEP.min(due.saturating_duration_since(Instant::now())));
                    }
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let channel = &channels[number as usize % channels.len()];
                    let data = json!({ "number": number, "padding": padding });
                    let key = format!("{channel}-{number}");
                    match api.publish(channel, &data, &key) {
                        Ok(position) => tops.see(channel, position.offset),
                        // Nobody hears it when the run is over.
                        Err(error) => {
                            let _ = faults.send(format!("publishing: {}", error.with_causes()));
                        }
                    }
                }
            })
        });
        Self {
            has_to_stop,
            running: running.into(),
        }
    }

    pub(super) fn stop(self) {
        self.has_to_stop.store(true, Ordering::Relaxed);
        for thread in self.running {
            // One that panicked has printed why.
            let _ = thread.join();
        }
    }
}
