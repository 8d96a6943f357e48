//! The connection for commands to one server process.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, Pipeline, RedisError, Value, cmd};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::dial::Dialer;
use crate::failure::{DialError, Failure};
use crate::url::Address;

/// The identity of a server process: half of its `run_id`, which is new with each start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ServerId(pub(crate) [u8; 16]);

impl ServerId {
    /// Finds the identity in the reply to `INFO server`.
    pub(crate) fn in_info(info: &str) -> Option<Self> {
        let id = info.lines().find_map(|line| line.strip_prefix("run_id:"))?;
        // 40 hexadecimal digits, all random.
        let id = u128::from_str_radix(id.trim().get(..32)?, 16).ok()?;
        Some(Self(id.to_be_bytes()))
    }
}

/// A connection for commands. Requests share it and are sent in the order in which they are made.
///
/// It belongs to one process of a server: when it is lost, it stays lost. So each request carries
/// the identity of the very process that executes it.
pub(crate) struct Link {
    pub(crate) address: Address,
    pub(crate) server: ServerId,
    connection: MultiplexedConnection,
    closed: watch::Sender<bool>,
    driver: Driver,
    deadline: Duration,
}

/// The task that reads and writes for a connection. It ends with this.
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Link {
    /// Connects to a master.
    pub(crate) async fn open(
        dialer: &Dialer,
        address: &Address,
        command: Duration,
    ) -> Result<Arc<Self>, DialError> {
        let link = Self::open_any(dialer, address, command).await?;
        match link.query::<Value>(&cmd("ROLE")).await {
            Ok(role) if is_replica(&role) => Err(DialError::Replica(address.to_string())),
            // Not everybody may ask for it: then the first write tells.
            _ => Ok(link),
        }
    }

    /// Connects to a server, be it a master or a replica.
    pub(crate) async fn open_any(
        dialer: &Dialer,
        address: &Address,
        command: Duration,
    ) -> Result<Arc<Self>, DialError> {
        let late = |_| DialError::Late {
            address: address.to_string(),
            after: dialer.deadline,
        };
        timeout(dialer.deadline, Self::greet(dialer, address, command))
            .await
            .map_err(late)?
    }

    async fn greet(
        dialer: &Dialer,
        address: &Address,
        command: Duration,
    ) -> Result<Arc<Self>, DialError> {
        let refused = |error| DialError::Refused {
            address: address.to_string(),
            error,
        };
        let stream = dialer.connect(address).await?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024);
        let greeting = dialer.greeting();
        let connected = MultiplexedConnection::new_with_config(&greeting, stream, config);
        let (mut connection, driver) = connected.await.map_err(refused)?;
        let (closed, _) = watch::channel(false);
        let task = tokio::spawn({
            let closed = closed.clone();
            async move {
                driver.await;
                closed.send_replace(true);
            }
        });
        // Also if the server does not answer the rest.
        let driver = Driver(task.abort_handle());
        let mut first = redis::pipe();
        // It may not be allowed, and nothing depends on it.
        first.cmd("CLIENT").arg("SETNAME").arg(&dialer.node);
        first.cmd("CLIENT").arg("NO-EVICT").arg("on");
        first.ignore_errors();
        connection
            .send_packed_commands(&first, 0, 2)
            .await
            .map_err(refused)?;
        let mut question = cmd("INFO");
        question.arg("server");
        let info = question.query_async::<String>(&mut connection).await;
        let info = info.map_err(refused)?;
        let server =
            ServerId::in_info(&info).ok_or_else(|| DialError::NoIdentity(address.to_string()))?;
        Ok(Arc::new(Self {
            address: address.clone(),
            server,
            connection,
            closed,
            driver,
            deadline: command,
        }))
    }

    /// Makes a request. It is sent when the future is first polled, if there is room.
    pub(crate) async fn request(&self, command: &Cmd) -> Result<Value, Failure> {
        let mut connection = self.connection.clone();
        self.within_deadline(async move {
            connection
                .send_packed_command(command)
                .await?
                .extract_error()
        })
        .await
    }

    /// Makes several requests at once. Resolves with all replies, errors among them.
    pub(crate) async fn requests(&self, commands: &Pipeline) -> Result<Vec<Value>, Failure> {
        let mut connection = self.connection.clone();
        let count = commands.len();
        let replies = connection.send_packed_commands(commands, 0, count);
        self.within_deadline(replies).await
    }

    /// Makes a request whose reply is converted.
    pub(crate) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Failure> {
        let reply = self.request(command).await?;
        redis::from_redis_value(reply)
            .map_err(|_| Failure::Damaged("the reply has another form".to_owned()))
    }

    async fn within_deadline<T>(
        &self,
        reply: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, Failure> {
        let mut closed = self.closed.subscribe();
        if *closed.borrow_and_update() {
            return Err(Failure::NotConnected(self.address.to_string()));
        }
        let reply = async {
            tokio::select! {
                biased;
                reply = reply => reply.map_err(Failure::of_sent),
                _ = closed.changed() => Err(Failure::Lost(lost())),
            }
        };
        match timeout(self.deadline, reply).await {
            Ok(reply) => reply,
            Err(_) => Err(Failure::Late(self.deadline)),
        }
    }

    /// Asks for a sign of life, again and again, until the connection is lost.
    pub(crate) async fn keep_alive(&self, ping: Duration) {
        let mut closed = self.closed.subscribe();
        let check = async {
            loop {
                tokio::time::sleep(ping).await;
                // Of a master that was demoted nothing else is noticed before the next write.
                match timeout(ping, self.query::<Value>(&cmd("ROLE"))).await {
                    Ok(Ok(role)) if is_replica(&role) => return,
                    // Not everybody may ask for the role; any reply is a sign of life.
                    Ok(Ok(_) | Err(Failure::Refused(_) | Failure::Failed(_))) => {}
                    Ok(Err(_)) | Err(_) => return,
                }
            }
        };
        tokio::select! {
            () = check => self.close(),
            _ = closed.wait_for(|is_closed| *is_closed) => {}
        }
    }

    /// Ends the connection. Requests without a reply are in doubt.
    pub(crate) fn close(&self) {
        self.closed.send_replace(true);
        self.driver.0.abort();
    }
}

fn is_replica(role: &Value) -> bool {
    let Value::Array(parts) = role else {
        return false;
    };
    matches!(parts.first(), Some(Value::BulkString(name)) if name == b"slave")
}

fn lost() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_of_a_server_is_in_its_info() {
        let info = "# Server\r\nredis_version:7.0.15\r\n\
            run_id:0123456789abcdef0123456789abcdef01234567\r\ntcp_port:1\r\n";
        let id = 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef_u128.to_be_bytes();
        assert_eq!(ServerId::in_info(info), Some(ServerId(id)));
        for wrong in ["", "run_id:\r\n", "run_id:0123\r\n", "run_id:xyz"] {
            assert_eq!(ServerId::in_info(wrong), None, "{wrong}");
        }
    }
}
