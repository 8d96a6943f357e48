//! A client that nothing happens to, and that nobody may hold up.

use nextrush::testing::Network;
use serde_json::Value;

use super::application::Application;
use super::channels::BYSTANDER;
use super::link::Link;
use super::node::Node;
use super::oracle::Oracle;
use super::outbox::{Command, Outbox};
use super::tally::Tally;
use super::{CALM, token_of};

#[derive(Default)]
pub struct Bystander {
    pub link: Link,
    outbox: Outbox,
    /// The server has subscribed it to its own channel, and nothing is under way for it.
    is_in: bool,
}

impl Bystander {
    pub async fn connect(&mut self, node: &Node) {
        if self.link.client().is_some() {
            return;
        }
        let path = format!("/live?token={}", token_of(BYSTANDER));
        self.link.connect(node, &path).await;
    }

    /// Asks for what needs neither the broker nor a function of the application: it is answered at
    /// once, whatever the functions do that others wait for.
    pub async fn probe(
        &mut self,
        number: u32,
        network: &Network,
        application: &Application,
        oracle: &Oracle,
        tally: &mut Tally,
    ) {
        if !self.is_in {
            network.advance(CALM).await;
            self.handle_all(application, oracle, tally);
            assert!(self.is_in, "somebody is held up while coming in");
        }
        self.outbox.send(&self.link, Command::Forbidden(number));
        network.settle().await;
        self.handle_all(application, oracle, tally);
        assert!(self.outbox.is_empty(), "somebody is held up by others");
    }

    pub fn cut(&mut self) {
        self.link.cut();
        self.outbox = Outbox::default();
        self.is_in = false;
    }

    pub fn handle_all(&mut self, application: &Application, oracle: &Oracle, tally: &mut Tally) {
        while let Some(message) = self.link.take() {
            self.handle(&message, application, oracle, tally);
        }
        if self.link.has_ended(tally) {
            self.cut();
        }
    }

    fn handle(
        &mut self,
        message: &Value,
        application: &Application,
        oracle: &Oracle,
        tally: &mut Tally,
    ) {
        match message["type"].as_str().unwrap() {
            "subscribed" => {
                assert_eq!(message["joined"], true, "{message}");
                self.is_in = true;
            }
            "reconnect" => assert!(tally.is_ending),
            "error" => {
                let outbox = &mut self.outbox;
                outbox.take(message, BYSTANDER, application, oracle, tally);
            }
            _ => panic!("unexpected: {message}"),
        }
    }
}
