//! The negotiation of permessage-deflate (RFC 7692 §7.1): offers and answers.

use std::fmt::Write;

use http::HeaderValue;

use super::extension::Extension;
use crate::deflate::{DeflateConfig, DeflateParams, Direction, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";

/// The parameters of an offer or an answer, by the letter of RFC 7692 §7.1.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct DeflateOffer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<ClientBits>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ClientBits {
    /// Without a value: the server can ask for less.
    Any,
    AtMost(u8),
}

impl DeflateOffer {
    /// Reads an extension. Returns `None` for another one, and for a parameter that is
    /// unknown, repeated or has a wrong value: such an offer must be declined (RFC 7692 §7).
    pub(super) fn read(extension: &Extension<'_>) -> Option<Self> {
        // Extension names are compared as they are, as browsers do.
        if extension.name != NAME {
            return None;
        }
        let mut offer = Self::default();
        for (name, value) in &extension.parameters {
            let is_new = match (*name, value.as_deref()) {
                (SERVER_NO_CONTEXT_TAKEOVER, None) => {
                    !std::mem::replace(&mut offer.server_no_context_takeover, true)
                }
                (CLIENT_NO_CONTEXT_TAKEOVER, None) => {
                    !std::mem::replace(&mut offer.client_no_context_takeover, true)
                }
                (SERVER_MAX_WINDOW_BITS, Some(bits)) => {
                    let bits = window_bits(bits)?;
                    offer.server_max_window_bits.replace(bits).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, None) => {
                    let any = ClientBits::Any;
                    offer.client_max_window_bits.replace(any).is_none()
                }
                (CLIENT_MAX_WINDOW_BITS, Some(bits)) => {
                    let bits = ClientBits::AtMost(window_bits(bits)?);
                    offer.client_max_window_bits.replace(bits).is_none()
                }
                _ => false,
            };
            if !is_new {
                return None;
            }
        }
        Some(offer)
    }

    /// The offer of a client with this configuration.
    pub(super) fn of_client(config: &DeflateConfig) -> Self {
        let (server, client) = (config.server_window_bits(), config.client_window_bits());
        Self {
            server_no_context_takeover: config.server_no_context_takeover,
            client_no_context_takeover: config.client_no_context_takeover,
            server_max_window_bits: (server < MAX_WINDOW_BITS).then_some(server),
            client_max_window_bits: Some(if client < MAX_WINDOW_BITS {
                ClientBits::AtMost(client)
            } else {
                ClientBits::Any
            }),
        }
    }

    /// The agreement of a server with this configuration, and its answer. Every offer can be
    /// met, as each parameter can be made stricter.
    pub(super) fn accept(self, config: &DeflateConfig) -> (DeflateParams, HeaderValue) {
        let server_bits = config.server_window_bits();
        let server_bits = server_bits.min(self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS));
        let wanted = config.client_window_bits();
        let client_bits = match self.client_max_window_bits {
            Some(ClientBits::Any) => wanted,
            Some(ClientBits::AtMost(offered)) => wanted.min(offered),
            None => MAX_WINDOW_BITS,
        };
        let server = Direction {
            takeover: !config.server_no_context_takeover && !self.server_no_context_takeover,
            window_bits: server_bits,
        };
        let client = Direction {
            takeover: !config.client_no_context_takeover
                && !self.client_no_context_takeover
                && client_bits <= wanted,
            window_bits: client_bits,
        };
        let answer = Self {
            server_no_context_takeover: !server.takeover,
            client_no_context_takeover: !client.takeover,
            // An offer with it is accepted by repeating it, whatever the value (§7.1.2.1).
            server_max_window_bits: (self.server_max_window_bits.is_some()
                || server_bits < MAX_WINDOW_BITS)
                .then_some(server_bits),
            // Less than all only if the client offers it (§7.1.2.2).
            client_max_window_bits: (client_bits < MAX_WINDOW_BITS)
                .then_some(ClientBits::AtMost(client_bits)),
        };
        (DeflateParams { server, client }, answer.to_header())
    }

    /// The agreement that this answer gives a client with this configuration; `None` if the
    /// client's offer does not allow it (RFC 7692 §7.1).
    pub(super) fn agree(self, config: &DeflateConfig) -> Option<DeflateParams> {
        let offer = Self::of_client(config);
        if offer.server_no_context_takeover && !self.server_no_context_takeover {
            return None;
        }
        let server_bits = self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        if server_bits > config.server_window_bits() {
            return None;
        }
        let client_bits = match self.client_max_window_bits {
            None => MAX_WINDOW_BITS,
            Some(ClientBits::AtMost(bits)) => bits,
            // An answer has to say how many.
            Some(ClientBits::Any) => return None,
        };
        Some(DeflateParams {
            server: Direction {
                takeover: !self.server_no_context_takeover,
                window_bits: server_bits,
            },
            client: Direction {
                takeover: !self.client_no_context_takeover && !config.client_no_context_takeover,
                window_bits: client_bits.min(config.client_window_bits()),
            },
        })
    }

    pub(super) fn to_header(self) -> HeaderValue {
        let mut text = NAME.to_owned();
        if self.server_no_context_takeover {
            text = text + "; " + SERVER_NO_CONTEXT_TAKEOVER;
        }
        if self.client_no_context_takeover {
            text = text + "; " + CLIENT_NO_CONTEXT_TAKEOVER;
        }
        let write = |text: &mut String, name, bits: u8| {
            write!(text, "; {name}={bits}").expect("a string can be written to");
        };
        if let Some(bits) = self.server_max_window_bits {
            write(&mut text, SERVER_MAX_WINDOW_BITS, bits);
        }
        match self.client_max_window_bits {
            Some(ClientBits::AtMost(bits)) => write(&mut text, CLIENT_MAX_WINDOW_BITS, bits),
            Some(ClientBits::Any) => text = text + "; " + CLIENT_MAX_WINDOW_BITS,
            None => {}
        }
        HeaderValue::try_from(text).expect("tokens and numbers are a header value")
    }
}

/// Parses a decimal number from 8 to 15 without leading zeros (RFC 7692 §7.1.2).
fn window_bits(value: &str) -> Option<u8> {
    let is_canonical = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
    let bits = value.parse().ok().filter(|_| is_canonical)?;
    (MIN_WINDOW_BITS..=MAX_WINDOW_BITS)
        .contains(&bits)
        .then_some(bits)
}
