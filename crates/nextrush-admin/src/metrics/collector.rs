//! The figures of an application, read when they are asked for.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use nextrush::metrics::Metrics;
use nextrush::topic::{SlowReaderCounts, SlowReaderPolicy};
use nextrush::{ChatServer, LiveUpdates};
use prometheus_client::collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::exposition::{Exposition, bytes, plain, seconds};
use crate::parts::Parts;

/// The code of refusals in the application's own words.
const OTHER: &str = "other";

/// Reads the figures of an application.
#[derive(Debug)]
pub(super) struct Collector(Parts);

impl Collector {
    pub(super) fn new(parts: Parts) -> Self {
        Self(parts)
    }

    fn of_node(&self, to: &mut Exposition<'_>, metrics: &Metrics) -> fmt::Result {
        let app = &self.0.app;
        let is = |is: bool| f64::from(u8::from(is));
        let help = "The program's version and the node's name.";
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("node", app.node().as_str()),
        ];
        to.info(plain("build", help), &labels)?;
        let help = "The nodes that share the broker, this one among them.";
        to.gauge(plain("nodes", help), metrics.nodes as f64)?;
        let help = "1 while the clients are being sent away.";
        to.gauge(plain("draining", help), is(app.is_draining()))?;
        let help = "1 once a part has ended without which the process cannot serve.";
        to.gauge(plain("failed", help), is(app.failure().is_some()))
    }

    fn of_connections(&self, to: &mut Exposition<'_>, metrics: &Metrics) -> fmt::Result {
        let total = metrics.engine.total();
        let counts = total.counts;
        let help = "Connections now, closing ones included.";
        to.gauge(plain("connections", help), counts.connections as f64)?;
        let help = "Connections that were accepted.";
        to.counter(plain("connections_accepted", help), counts.accepted)?;
        let help = "Messages that clients sent.";
        to.counter(plain("messages_received", help), counts.messages_in)?;
        let help = "Messages that were sent to clients, each counted once for every client.";
        to.counter(plain("messages_sent", help), counts.messages_out)?;
        let help = "Bytes that were read; those of TLS after decryption.";
        to.counter(bytes("received", help), counts.bytes_in)?;
        let help = "Bytes that were written; those of TLS before encryption.";
        to.counter(bytes("sent", help), counts.bytes_out)?;
        let help = "Publications of rooms and channels that were sent to members, each counted once for every member.";
        to.counter(plain("deliveries", help), counts.deliveries)?;
        let help = "The times that the turns of the threads took that serve connections.";
        to.turns(seconds("turn_duration", help), &total.turns)?;
        let help = "Bytes now that wait for clients, beyond what the kernel has taken.";
        to.gauge(bytes("backlog", help), counts.backlog_bytes as f64)?;
        let help = "Connections now with such a backlog.";
        to.gauge(plain("waiting_connections", help), counts.waiting as f64)?;
        let help = "Connections now that are sent no updates in a channel or room until they have read what waits.";
        to.gauge(plain("lagging_connections", help), counts.lagging as f64)?;
        let help = "The times that a connection began to lag so in a channel or room.";
        to.counter(plain("lags", help), counts.lags)
    }

    fn of_slow_readers(&self, to: &mut Exposition<'_>, metrics: &Metrics) -> fmt::Result {
        let closed = metrics.engine.total().counts.slow_readers_closed;
        let by_policy = self.slow_readers();
        let counts = by_policy.iter();
        let ended = counts.map(|(policy, counts)| match *policy {
            "close" => ([("policy", *policy)], closed),
            _ => ([("policy", *policy)], counts.recovered),
        });
        let help = "Slow readers that became live again, or with the policy close were closed.";
        to.counters(plain("slow_readers", help), ended)?;
        let outcomes = by_policy.iter().flat_map(|(policy, counts)| {
            let later = [("policy", *policy), ("outcome", "sent-later")];
            let missed = [("policy", *policy), ("outcome", "missed")];
            [(later, counts.sent_later), (missed, counts.missed)]
        });
        let help = "Updates that slow readers got later, or did not get and were told so.";
        to.counters(plain("slow_reader_updates", help), outcomes)
    }

    /// The counts of slow readers by the name of their policy.
    fn slow_readers(&self) -> BTreeMap<&'static str, SlowReaderCounts> {
        let all = ["heal", "latest", "drop", "close"];
        let mut by_policy: BTreeMap<_, SlowReaderCounts> = all
            .map(|policy| (policy, SlowReaderCounts::default()))
            .into();
        let chats = self.0.chats.iter().map(ChatServer::slow_reader_policy);
        let live = self
            .0
            .live
            .iter()
            .flat_map(LiveUpdates::slow_reader_policies);
        for policy in chats.chain(live) {
            add(&mut by_policy, &policy);
        }
        by_policy
    }

    fn of_clients(&self, to: &mut Exposition<'_>, metrics: &Metrics) -> fmt::Result {
        let back = metrics.recoveries;
        let outcomes = [
            ([("outcome", "recovered")], back.recovered),
            ([("outcome", "epoch")], back.epoch),
            ([("outcome", "history")], back.history),
            ([("outcome", "ahead")], back.ahead),
        ];
        let help = "Clients that came back with a position: recovered, or why they could not.";
        to.counters(plain("recoveries", help), outcomes)?;
        let refusals = metrics.refusals.iter().map(|told| {
            let code = told.code.map_or(OTHER, |code| code.as_str());
            ([("code", code)], told.count)
        });
        let help = "Refusals that clients were told, over sockets and over HTTP.";
        to.counters(plain("refusals", help), refusals)?;
        let requests = metrics.request_times.iter().map(|times| {
            let labels = [("type", times.kind), ("outcome", times.outcome.as_str())];
            (labels, &times.durations)
        });
        let help = "The times that the application took for requests of clients.";
        to.all_durations(seconds("request_duration", help), requests)?;
        let late = metrics.requests;
        let help = "Replies to requests of clients whose sockets were closed by then.";
        to.counter(plain("late_replies", help), late.late_replies)?;
        let help = "Responses to requests of the server that nobody waited for any more.";
        to.counter(plain("late_responses", help), late.late_responses)
    }

    fn of_broker(&self, to: &mut Exposition<'_>, metrics: &Metrics) -> fmt::Result {
        let help =
            "Publications to channels and chat rooms that this node's broker has acknowledged.";
        to.counter(plain("publications", help), metrics.published)?;
        let help = "The times that publications waited for a disk or another machine; none of a broker in memory.";
        to.durations(seconds("publish_duration", help), &metrics.publishing)?;
        let help = "The time for which the shared store has been out of reach; 0 while it is not.";
        let away = metrics.store_away.unwrap_or(Duration::ZERO);
        to.gauge(seconds("store_away", help), away.as_secs_f64())?;
        if let Some(store) = metrics.store {
            let help = "The size of the files of the store on this node.";
            to.gauge(bytes("store", help), store.bytes as f64)?;
            let help = "The most bytes that these files may have.";
            to.gauge(bytes("store_limit", help), store.limit as f64)?;
        }
        Ok(())
    }

    fn of_parts(&self, to: &mut Exposition<'_>) -> fmt::Result {
        let Parts { live, chats, .. } = &self.0;
        let channels = live.iter().map(|live| {
            let count = live.local_channel_count() as f64;
            ([("part", live.name())], count)
        });
        let help = "Channels now with subscribers on this node.";
        to.gauges(plain("channels", help), channels)?;
        let rooms = chats.iter().map(|chat| {
            let count = chat.local_room_count() as f64;
            ([("part", chat.name())], count)
        });
        let help = "Chat rooms now with members on this node.";
        to.gauges(plain("rooms", help), rooms)
    }
}

/// Adds the counts of a policy to those of its name.
fn add(by_policy: &mut BTreeMap<&'static str, SlowReaderCounts>, policy: &SlowReaderPolicy) {
    let counts = by_policy.entry(policy.slow_readers().as_str()).or_default();
    let more = policy.counts();
    counts.recovered += more.recovered;
    counts.sent_later += more.sent_later;
    counts.missed += more.missed;
}

impl collector::Collector for Collector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let metrics = self.0.app.metrics();
        let mut to = Exposition(encoder);
        self.of_node(&mut to, &metrics)?;
        self.of_connections(&mut to, &metrics)?;
        self.of_slow_readers(&mut to, &metrics)?;
        self.of_clients(&mut to, &metrics)?;
        self.of_broker(&mut to, &metrics)?;
        self.of_parts(&mut to)
    }
}
