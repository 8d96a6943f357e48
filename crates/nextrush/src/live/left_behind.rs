//! The devices of a channel when a process ended, as the next one reads them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::device::{Data, DeviceName};
use super::devices::Device;
use super::shown::Person;
use crate::message::Timestamp;
use crate::roster::{Rules, View};

/// The devices of a channel when a process ended, as the next one reads them.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct LeftBehind {
    version: u64,
    devices: Vec<Box<RawValue>>,
}

/// A device that was left behind.
pub(super) struct Kept {
    pub(super) user: Arc<Person>,
    pub(super) name: Option<DeviceName>,
    pub(super) since: Timestamp,
    pub(super) data: Option<Data>,
}

#[derive(Debug, Deserialize, Serialize)]
struct KeptDevice {
    name: String,
    user: Person,
    #[serde(default)]
    device: Option<DeviceName>,
    since: Timestamp,
    data: Option<Data>,
}

impl LeftBehind {
    pub(super) fn new<R: Rules<Member = Device>>(view: &View<R>) -> Self {
        let kept = |number: u64, device: &Device| {
            serde_json::value::to_raw_value(&KeptDevice {
                name: number.to_string(),
                user: Person::clone(&device.user),
                device: device.name.clone(),
                since: device.since,
                data: device.data.clone(),
            })
        };
        Self {
            version: view.version(),
            devices: view
                .members()
                .filter_map(|(number, record)| kept(number, &record.member).ok())
                .collect(),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The devices with their numbers. Each is read by itself: one that cannot be read costs
    /// nobody else its place.
    pub(super) fn devices(&self, channel: &str) -> impl Iterator<Item = (u64, Kept)> {
        self.devices.iter().filter_map(move |kept| match read(kept) {
            Ok(kept) => Some(kept),
            Err(error) => {
                tracing::error!(channel, %error, "a member that was left behind cannot be read");
                None
            }
        })
    }
}

/// The device, and its number.
fn read(kept: &RawValue) -> serde_json::Result<(u64, Kept)> {
    let kept: KeptDevice = serde_json::from_str(kept.get())?;
    let number = kept.name.parse().map_err(serde::de::Error::custom)?;
    let device = Kept {
        user: Arc::new(kept.user),
        name: kept.device,
        since: kept.since,
        data: kept.data,
    };
    Ok((number, device))
}
