//! The limits and times of a WebSocket route, found in its requests.

use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};

use axum::extract::MatchedPath;
use http::Extensions;
use nextrush_engine::SocketOptions;
use parking_lot::Mutex;

use crate::http::subprotocol;

/// The most options that one route remembers. A route has one for each place where it is
/// mounted, unless a layer makes up options for each request.
const REMEMBERED: usize = 64;

/// The options of a route's connections, which share one copy for each place where the route
/// is mounted: an idle connection must not pay for a copy of its own.
#[derive(Debug, Default)]
pub(super) struct RouteOptions {
    /// The pattern as the application wrote it.
    pattern: Option<Arc<str>>,
    resolved: Mutex<VecDeque<Resolved>>,
}

/// Options as they were found, and the same with the endpoint's name.
#[derive(Debug)]
struct Resolved {
    found: SocketOptions,
    named: Arc<SocketOptions>,
}

impl RouteOptions {
    pub(super) fn of_pattern(pattern: &str) -> Self {
        Self {
            pattern: Some(pattern.into()),
            ..Self::default()
        }
    }

    /// The options of a request's connection: those of the nearest `Extension` layer, named
    /// after the route unless they have a name, with the subprotocol that is chosen of those
    /// that the client offers.
    pub(super) fn of_request(
        &self,
        extensions: &Extensions,
        offered: &[String],
    ) -> Arc<SocketOptions> {
        let found = found_in(extensions);
        let protocol = subprotocol::choose(offered, found.protocols.as_deref());
        let matched = extensions.get().map(MatchedPath::as_str);
        let route = self.pattern.as_deref().or(matched);
        let name = found.name.as_deref().or(route);
        let mut resolved = self.resolved.lock();
        let known = resolved.iter().find(|known| {
            let named = &known.named;
            named.name.as_deref() == name
                && named.protocol.as_deref() == protocol
                && known.found == *found
        });
        if let Some(known) = known {
            return Arc::clone(&known.named);
        }
        let mut named = found.clone();
        named.name = name.map(Arc::from);
        named.protocol = protocol.map(Arc::from);
        let named = Arc::new(named);
        if resolved.len() == REMEMBERED {
            // Clients make up subprotocols as they like, and must not push out the others.
            let made_up = resolved.iter().position(|known| is_made_up(&known.named));
            resolved.remove(made_up.unwrap_or_default());
        }
        resolved.push_back(Resolved {
            found: found.clone(),
            named: Arc::clone(&named),
        });
        named
    }
}

/// Returns whether a client alone has chosen the subprotocol.
fn is_made_up(options: &SocketOptions) -> bool {
    let is_foreign = |name: &str| name != subprotocol::OWN;
    options.protocols.is_none() && options.protocol.as_deref().is_some_and(is_foreign)
}

/// The options of the nearest `Extension` layer.
pub(super) fn found_in(extensions: &Extensions) -> &SocketOptions {
    static DEFAULT: LazyLock<SocketOptions> = LazyLock::new(SocketOptions::default);
    extensions.get().unwrap_or(&*DEFAULT)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn with(options: SocketOptions) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(options);
        extensions
    }

    fn closing_after(ms: u64) -> SocketOptions {
        SocketOptions::default().close_timeout(Duration::from_millis(ms))
    }

    #[test]
    fn connections_of_one_route_share_their_options() {
        let route = RouteOptions::of_pattern("/rooms/:id");
        let first = route.of_request(&Extensions::new(), &[]);
        assert_eq!(first.name.as_deref(), Some("/rooms/:id"));
        let other = route.of_request(&with(closing_after(7)), &[]);
        assert_eq!(other.close_timeout, Duration::from_millis(7));
        for _ in 0..1000 {
            assert!(Arc::ptr_eq(
                &first,
                &route.of_request(&Extensions::new(), &[])
            ));
            let again = route.of_request(&with(closing_after(7)), &[]);
            assert!(Arc::ptr_eq(&other, &again));
        }
        assert_eq!(route.resolved.lock().len(), 2);
    }

    #[test]
    fn connections_with_the_same_subprotocol_share_their_options() {
        let route = RouteOptions::of_pattern("/");
        let offers = |name: &str| [name.to_owned()];
        let none = route.of_request(&Extensions::new(), &[]);
        let one = route.of_request(&Extensions::new(), &offers("a"));
        assert_eq!(
            (none.protocol.as_deref(), one.protocol.as_deref()),
            (None, Some("a"))
        );
        let again = route.of_request(&Extensions::new(), &offers("a"));
        assert!(Arc::ptr_eq(&one, &again));
        let other = route.of_request(&Extensions::new(), &offers("b"));
        assert_eq!(other.protocol.as_deref(), Some("b"));

        for number in 0..1000 {
            route.of_request(&Extensions::new(), &offers(&number.to_string()));
        }
        assert!(Arc::ptr_eq(
            &none,
            &route.of_request(&Extensions::new(), &[])
        ));
    }

    #[test]
    fn a_name_in_the_options_comes_before_the_pattern() {
        let named = SocketOptions::default().name("lobby");
        let route = RouteOptions::of_pattern("/rooms/:id");
        let options = route.of_request(&with(named), &[]);
        assert_eq!(options.name.as_deref(), Some("lobby"));
        let nameless = RouteOptions::default().of_request(&Extensions::new(), &[]);
        assert_eq!(nameless.name, None);
    }

    #[test]
    fn options_made_up_for_each_request_are_not_remembered_for_ever() {
        let route = RouteOptions::default();
        for ms in 0..1000 {
            let options = route.of_request(&with(closing_after(ms)), &[]);
            assert_eq!(options.close_timeout, Duration::from_millis(ms));
        }
        assert_eq!(route.resolved.lock().len(), 64);
    }
}
