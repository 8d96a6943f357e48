//! Requests of the server to its clients.

use std::collections::BTreeSet;
use std::time::Duration;

use nextrush::testing::Client;
use nextrush::{Audience, RequestError};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

/// The time that clients have.
pub const PATIENCE: Duration = Duration::from_secs(1);
/// The time that the node that asks gives the others beside it.
const OTHERS: Duration = Duration::from_secs(2);

/// The client's way to respond to the request of a number.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Way {
    Silence,
    Refusal,
    Twice,
    Answer,
}

impl Way {
    fn of(number: u64) -> Self {
        [Self::Silence, Self::Refusal, Self::Twice, Self::Answer]
            [usize::try_from(number % 4).unwrap()]
    }
}

/// Returns whether clients respond to the request of a number.
pub fn is_answered(number: u32) -> bool {
    Way::of(number.into()) != Way::Silence
}

/// Responds to a request, as its number says.
pub fn respond(client: &Client, request: &Value) {
    assert_eq!(request["name"], "double", "{request}");
    let (id, number) = (&request["id"], request["data"].as_u64().unwrap());
    let answer = json!({ "type": "response", "id": id, "data": number * 2 });
    let refusal = json!({ "code": "no", "message": number.to_string() });
    let refusal = json!({ "type": "response", "id": id, "error": refusal });
    match Way::of(number) {
        Way::Silence => {}
        Way::Refusal => client.send_json(&refusal),
        Way::Twice => {
            client.send_json(&answer);
            client.send_json(&answer);
        }
        Way::Answer => client.send_json(&answer),
    }
}

/// Asks the sockets of an audience; the number of those that have responded, as they should.
pub async fn ask(audience: Audience, number: u32) -> Result<usize, String> {
    let begun = Instant::now();
    let answers = audience.request::<u64>("double", &number, PATIENCE);
    let mut answers = answers.expect("a number");
    let mut sockets = BTreeSet::new();
    // A moment for what is due at the same time.
    let most = PATIENCE + OTHERS + Duration::from_millis(100);
    let answered = async {
        while let Some(answer) = answers.next().await {
            let socket = (answer.node.to_string(), answer.socket.to_string());
            if !sockets.insert(socket) {
                return Err(format!("{number} answered twice: {answer:?}"));
            }
            let is_right = match (Way::of(number.into()), &answer.result) {
                (Way::Twice | Way::Answer, Ok(double)) => *double == u64::from(number) * 2,
                (Way::Refusal, Err(RequestError::Refused { code, message })) => {
                    code == "no" && *message == number.to_string()
                }
                _ => false,
            };
            if !is_right {
                return Err(format!("the wrong answer to {number}: {answer:?}"));
            }
        }
        Ok(())
    };
    match timeout(most, answered).await {
        Ok(Ok(())) => Ok(sockets.len()),
        Ok(Err(fault)) => Err(fault),
        Err(_) => Err(format!("{number} waits for ever, since {begun:?}")),
    }
}
