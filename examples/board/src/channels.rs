//! The channels: `board-<id>` for all who look at a board, and `user:<id>` for each user.

use std::time::Duration;

use nextrush::live::{ChannelPolicies, ChannelPolicy, SubscribeContext};
use nextrush::{App, BoxError, LiveUpdates, Socket};
use serde_json::Value;

use crate::Boards;
use crate::board::{self, BOARD, BOARDS, Change, Command, IS_MEMBER};
use crate::store::Store;

pub(crate) fn live_updates(app: &App<Boards>, store: &Store) -> LiveUpdates {
    let hour = Duration::from_secs(3600);
    let (asked, loading, listing) = (store.clone(), store.clone(), store.clone());
    let board = ChannelPolicy::new()
        .history(300, hour)
        .key("/card/id")
        .presence()
        .may_subscribe(async move |context: SubscribeContext| {
            let user = context.user.as_ref().map(|user| user.id.to_string());
            asked.ask::<bool>(IS_MEMBER, (id_in(&context), user)).await
        })
        .on_subscribe(async move |context: SubscribeContext| {
            loading.ask::<Value>(BOARD, [id_in(&context)]).await
        });
    let boards = ChannelPolicy::new().history(10, hour).on_subscribe(
        async move |context: SubscribeContext| {
            listing.ask::<Value>(BOARDS, [id_in(&context)]).await
        },
    );
    let policies = ChannelPolicies::new()
        .policy("board-:id", board)
        .policy("user:{id}", boards)
        .refuse_others();
    LiveUpdates::builder()
        .policies(policies)
        .user_channel("user:{id}")
        .show_user(|socket: &Socket, _| socket.data::<Value>())
        .build(app, "live")
}

fn id_in(context: &SubscribeContext) -> String {
    context.channel.param("id").unwrap_or_default().to_owned()
}

impl Boards {
    /// Executes a command of a user, and tells whoever has to know.
    pub(crate) async fn execute(&self, user: &str, command: Command) -> Result<(), BoxError> {
        let user = user.to_owned();
        let executed = self
            .store
            .transaction(move |db| Ok((board::commit(db)?, command.execute(db, &user)?)));
        let (version, changes) = executed.await?;
        for change in changes {
            match change {
                Change::Update(channel, update) => {
                    self.live
                        .publish_version(&channel, &update, version)
                        .await?;
                }
                Change::Removed(channel, user) => {
                    self.live.kick(&user.into(), &channel).await;
                }
            }
        }
        Ok(())
    }
}
