//! Keys that are long, and shown to nobody.

use nextrush::App;
use nextrush_admin::{HttpApi, Inspector, Metrics, Secret};

use crate::support::KEY;

#[test]
#[should_panic(expected = "this one has 0")]
fn an_api_whose_key_was_not_set_is_not_served() {
    let app: App = App::new();
    let _ = HttpApi::new(&app, "");
}

#[test]
#[should_panic(expected = "a key has 32 bytes or more")]
fn an_inspector_with_a_short_key_is_not_served() {
    let app: App = App::new();
    let _ = Inspector::new(&app, "x".repeat(31));
}

#[test]
fn no_debug_output_has_a_key() {
    let app: App = App::new();
    let shown = format!(
        "{:?} {:?} {:?} {:?} {:?}",
        Secret::from(KEY),
        HttpApi::new(&app, KEY),
        Metrics::new(&app, KEY),
        Inspector::new(&app, KEY.to_owned()),
        Inspector::without_key(&app).ticket_secret(KEY),
    );
    assert!(!shown.contains(KEY), "{shown}");
}
