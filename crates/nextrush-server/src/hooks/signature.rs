//! The signature of a call: `X-NextRush-Signature: t=1700000000,v1=…`.
//!
//! `v1` is the HMAC-SHA256 (RFC 2104) of `t.body` in hexadecimal digits, with the secret as the key: the
//! seconds since 1970 of the call, a full stop, and the body byte for byte. Who checks it refuses a call
//! that is older than a few minutes, so that one that was overheard cannot be made again later.

use hmac::{Hmac, Mac as _};
use nextrush_admin::Secret;
use sha2::Sha256;

/// The name of the header.
pub(super) const HEADER: &str = "x-nextrush-signature";

/// The value of the header for a call at a time, in seconds since 1970.
pub(super) fn sign(secret: &Secret, at: u64, body: &[u8]) -> String {
    let key = secret.expose().as_bytes();
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of HMAC has any length");
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    format!("t={at},v1={:x}", mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_signed_as_openssl_signs_it() {
        // printf '1700000000.{"type":"connect"}' |
        //   openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let secret = Secret::from("0123456789abcdef0123456789abcdef");
        let signed = sign(&secret, 1_700_000_000, br#"{"type":"connect"}"#);
        assert_eq!(
            signed,
            "t=1700000000,v1=4b67802f1d86f1e903b5ac490b6032154b445af4622b23a4fd1c5560328d91a3"
        );
    }
}
