//! permessage-deflate in the opening handshake (RFC 7692 §5 and §7.1).

use http::{HeaderMap, HeaderValue, Method, StatusCode, Version};
use nextrush_protocol::handshake::client::Opening;
use nextrush_protocol::handshake::{AnswerError, server};
use nextrush_protocol::{DeflateConfig, DeflateParams};

/// A configuration that takes over contexts where it may.
const LENIENT: DeflateConfig = DeflateConfig::new()
    .server_no_context_takeover(false)
    .client_no_context_takeover(false)
    .server_max_window_bits(15)
    .client_max_window_bits(15)
    .level(6)
    .threshold(256);

/// A server's answer to these headers; `None` if nothing is agreed on.
fn answer_to(offers: &[&str], config: &DeflateConfig) -> Option<(String, DeflateParams)> {
    let opening = Opening::new([7; 16]);
    let mut request = opening.headers();
    request.insert("host", HeaderValue::from_static("example.com"));
    for offer in offers {
        let offer = HeaderValue::from_str(offer).expect("no control characters");
        request.append("sec-websocket-extensions", offer);
    }
    let mut accepted =
        server::accept(&Method::GET, Version::HTTP_11, &request).expect("a right request");
    let params = accepted.negotiate_deflate(config);
    let headers = accepted.headers();
    let answer = headers.get("sec-websocket-extensions");
    assert_eq!(answer.is_some(), params.is_some());
    Some((answer?.to_str().expect("ASCII").to_owned(), params?))
}

/// Server's and client's context takeover, server's and client's window bits.
fn terms(params: DeflateParams) -> (bool, bool, u8, u8) {
    (
        !params.server_no_context_takeover(),
        !params.client_no_context_takeover(),
        params.server_max_window_bits(),
        params.client_max_window_bits(),
    )
}

#[test]
fn offers_are_met_as_strictly_as_either_side_wants() {
    const SNCT: &str = "server_no_context_takeover";
    const CNCT: &str = "client_no_context_takeover";
    let strict = DeflateConfig::default();
    let small = LENIENT
        .server_max_window_bits(10)
        .client_max_window_bits(11);
    let both = format!("; {SNCT}; {CNCT}");
    for (config, offer, answer, agreed) in [
        (LENIENT, "", "", (true, true, 15, 15)),
        (strict, "", &both, (false, false, 15, 15)),
        (
            LENIENT,
            "; client_max_window_bits",
            "",
            (true, true, 15, 15),
        ),
        (
            strict,
            "; client_max_window_bits",
            &both,
            (false, false, 15, 15),
        ),
        (LENIENT, &both, &both, (false, false, 15, 15)),
        (
            LENIENT,
            "; server_no_context_takeover",
            "; server_no_context_takeover",
            (false, true, 15, 15),
        ),
        (
            LENIENT,
            "; client_no_context_takeover",
            "; client_no_context_takeover",
            (true, false, 15, 15),
        ),
        (
            LENIENT,
            "; server_max_window_bits=15",
            "; server_max_window_bits=15",
            (true, true, 15, 15),
        ),
        (
            LENIENT,
            "; server_max_window_bits=8",
            "; server_max_window_bits=8",
            (true, true, 8, 15),
        ),
        (
            LENIENT,
            "; client_max_window_bits=9",
            "; client_max_window_bits=9",
            (true, true, 15, 9),
        ),
        (
            LENIENT,
            "; client_max_window_bits=\"8\"; server_max_window_bits=\"1\\0\"",
            "; server_max_window_bits=10; client_max_window_bits=8",
            (true, true, 10, 8),
        ),
        (
            small,
            "; client_max_window_bits",
            "; server_max_window_bits=10; client_max_window_bits=11",
            (true, true, 10, 11),
        ),
        (
            small,
            "; client_max_window_bits=15; server_max_window_bits=9",
            "; server_max_window_bits=9; client_max_window_bits=11",
            (true, true, 9, 11),
        ),
        // A client that cannot be asked for a smaller window is asked for none.
        (
            small,
            "",
            "; client_no_context_takeover; server_max_window_bits=10",
            (true, false, 10, 15),
        ),
    ] {
        let offer = format!("permessage-deflate{offer}");
        let (found, params) = answer_to(&[&offer], &config).unwrap();
        assert_eq!(found, format!("permessage-deflate{answer}"), "{offer}");
        assert_eq!(terms(params), agreed, "{offer}");
    }
}

#[test]
fn every_window_from_8_to_15_bits_is_honoured() {
    for bits in 8..=15 {
        let offer = format!(
            "permessage-deflate; server_max_window_bits={bits}; client_max_window_bits={bits}"
        );
        let (_, params) = answer_to(&[&offer], &LENIENT).unwrap();
        assert_eq!(terms(params), (true, true, bits, bits));
    }
}

#[test]
fn client_max_window_bits_is_not_answered_unless_offered() {
    let small = LENIENT.client_max_window_bits(8);
    for config in [LENIENT, small, DeflateConfig::default()] {
        let (answer, params) = answer_to(&["permessage-deflate"], &config).unwrap();
        assert!(!answer.contains("client_max_window_bits"), "{answer}");
        assert_eq!(params.client_max_window_bits(), 15);
    }
}

const INVALID: [&str; 20] = [
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; server_max_window_bits=+10",
    "permessage-deflate; server_max_window_bits=-10",
    "permessage-deflate; server_max_window_bits=10.5",
    "permessage-deflate; server_max_window_bits=99999999999999999999",
    "permessage-deflate; server_max_window_bits=\"\"",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=0",
    "permessage-deflate; client_max_window_bits=ten",
    "permessage-deflate; client_no_context_takeover=true",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; unknown",
    "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
    "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
    "permessage-deflate; Server_Max_Window_Bits=10",
    "permessage-deflate; server_max_window_bits = 10",
    "permessage-deflate;",
];

#[test]
fn an_invalid_offer_is_declined() {
    for offer in INVALID {
        assert_eq!(answer_to(&[offer], &LENIENT), None, "{offer}");
    }
}

#[test]
fn other_extensions_are_declined() {
    for offer in [
        "x-webkit-deflate-frame",
        "permessage-bzip2",
        "constructor; __proto__=1",
        "PERMESSAGE-DEFLATE",
        "permessage-deflatex",
        "",
    ] {
        assert_eq!(answer_to(&[offer], &LENIENT), None, "{offer}");
    }
}

#[test]
fn a_good_offer_is_found_behind_bad_ones_and_the_first_good_one_counts() {
    let good = "permessage-deflate; server_max_window_bits=10";
    let fallback = "permessage-deflate";
    for bad in INVALID
        .into_iter()
        .chain(["permessage-bzip2; x", "\"\\\","])
    {
        if bad.starts_with('"') {
            // An open quote swallows the rest of its own header only.
            let (answer, _) = answer_to(&[bad, good], &LENIENT).unwrap();
            assert_eq!(answer, good);
            continue;
        }
        let in_one = format!("{bad}, {good}, {fallback}");
        for offers in [&[in_one.as_str()][..], &[bad, good, fallback]] {
            let (answer, _) = answer_to(offers, &LENIENT).unwrap();
            assert_eq!(answer, good, "{bad}");
        }
    }
}

#[test]
fn a_hostile_list_of_offers_is_read_in_one_pass() {
    let long = "permessage-deflate; unknown, ".repeat(100_000);
    assert_eq!(answer_to(&[&long], &LENIENT), None);
    let escapes = format!("permessage-deflate; a=\"{}", "\\".repeat(1_000_000));
    assert_eq!(answer_to(&[&escapes], &LENIENT), None);
    let parameters = format!("permessage-deflate{}", "; a".repeat(300_000));
    assert_eq!(answer_to(&[&parameters], &LENIENT), None);
}

// The client.

fn verify(
    answers: &[&str],
    config: Option<DeflateConfig>,
) -> Result<Option<DeflateParams>, AnswerError> {
    let opening = Opening::new(*b"the sample nonce");
    let opening = match config {
        Some(config) => opening.deflate(config),
        None => opening,
    };
    let mut headers = HeaderMap::new();
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    let accept = HeaderValue::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    headers.insert("sec-websocket-accept", accept);
    for answer in answers {
        let answer = HeaderValue::from_str(answer).expect("no control characters");
        headers.append("sec-websocket-extensions", answer);
    }
    let agreed = opening.verify(StatusCode::SWITCHING_PROTOCOLS, &headers)?;
    Ok(agreed.deflate)
}

#[test]
fn a_client_offers_what_it_wants() {
    let small = LENIENT.server_max_window_bits(9).client_max_window_bits(8);
    for (config, offer) in [
        (LENIENT, "permessage-deflate; client_max_window_bits"),
        (
            DeflateConfig::default(),
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             client_max_window_bits",
        ),
        (
            small,
            "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
        ),
    ] {
        let headers = Opening::new([7; 16]).deflate(config).headers();
        assert_eq!(headers["sec-websocket-extensions"], offer);
    }
    let headers = Opening::new([7; 16]).headers();
    assert!(!headers.contains_key("sec-websocket-extensions"));
}

#[test]
fn a_client_takes_an_answer_that_its_offer_allows() {
    let small = LENIENT
        .server_max_window_bits(12)
        .client_max_window_bits(11);
    for (config, answer, agreed) in [
        (LENIENT, "permessage-deflate", (true, true, 15, 15)),
        (
            LENIENT,
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            (false, false, 15, 15),
        ),
        (
            LENIENT,
            "permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
            (true, true, 8, 9),
        ),
        (
            DeflateConfig::default(),
            "permessage-deflate; server_no_context_takeover",
            (false, false, 15, 15),
        ),
        (
            small,
            "permessage-deflate; server_max_window_bits=12",
            (true, true, 12, 11),
        ),
        (
            small,
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=\"15\"",
            (true, true, 10, 11),
        ),
    ] {
        let params = verify(&[answer], Some(config)).unwrap().unwrap();
        assert_eq!(terms(params), agreed, "{answer}");
    }
    assert_eq!(verify(&[], Some(LENIENT)), Ok(None));
    assert_eq!(verify(&[], None), Ok(None));
}

#[test]
fn a_client_refuses_an_answer_that_its_offer_does_not_allow() {
    let small = LENIENT.server_max_window_bits(12);
    let refused = Err(AnswerError::Extension);
    for answer in INVALID {
        assert_eq!(verify(&[answer], Some(LENIENT)), refused, "{answer}");
    }
    for (config, answers) in [
        (None, &["permessage-deflate"][..]),
        (Some(LENIENT), &["permessage-bzip2"]),
        (
            Some(LENIENT),
            &["permessage-deflate; client_max_window_bits"],
        ),
        (Some(LENIENT), &["permessage-deflate, permessage-deflate"]),
        (Some(LENIENT), &["permessage-deflate", "x"]),
        // A condition of the offer has to be repeated.
        (Some(DeflateConfig::default()), &["permessage-deflate"]),
        (Some(small), &["permessage-deflate"]),
        (
            Some(small),
            &["permessage-deflate; server_max_window_bits=13"],
        ),
    ] {
        assert_eq!(verify(answers, config), refused, "{answers:?}");
    }
}
