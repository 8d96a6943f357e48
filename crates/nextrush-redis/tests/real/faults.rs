//! Failing servers and lines, and the store beyond them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nextrush_broker::{
    Broker as _, BrokerError, CommandKey, Position, Publish, SharedStore, TopicName,
};
use nextrush_redis::{Deadlines, Redis, RedisOptions, RedisStore};

use crate::proxy::{Line, Proxy};
use crate::recorder::connect;
use crate::servers::{ClusterOfThree, Server, eventually, programs, replica, sentinels, url};
use crate::store::{ALL, kept, publish, read, texts, topic, tops, watch};

/// Deadlines for which a test can wait.
pub(crate) fn quick() -> RedisOptions {
    let short = Duration::from_millis(300);
    let deadlines = Deadlines::default()
        .connect(Duration::from_secs(2))
        .ping(short)
        .command(Duration::from_secs(1))
        .silence(short * 4);
    RedisOptions::default().deadlines(deadlines)
}

async fn try_publish(store: &RedisStore, topic: &TopicName) -> Result<Position, BrokerError> {
    let appended = store.publish(topic, vec![kept("tried")]).await?;
    let outcome = appended.outcomes.into_iter().next().unwrap();
    outcome.map(|stored| stored.position)
}

/// Waits until the store takes publications again.
async fn until_healed(store: &RedisStore) {
    let other = topic("healed");
    eventually("publishing works again", async || {
        try_publish(store, &other).await.is_ok()
    })
    .await;
}

/// Waits until a server has been away for so long that nobody waits for it any more.
async fn until_known_away(redis: &Redis) {
    eventually("the server is known to be away", async || {
        redis
            .away()
            .is_some_and(|away| away > Duration::from_secs(5))
    })
    .await;
}

#[tokio::test]
async fn who_comes_while_the_server_is_known_to_be_away_is_refused_at_once() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let line = Proxy::start(server.port).await;
        let redis = Redis::with_options(&url(line.port), quick()).await.unwrap();
        let (bus, rosters) = (redis.bus().unwrap(), redis.rosters().unwrap());
        redis.subscribe(&topic("watched")).await.unwrap();
        line.set(Line::Held);
        until_known_away(&redis).await;
        let begun = Instant::now();
        for name in ["watched", "new"].map(topic) {
            for refused in [
                redis.subscribe(&name).await,
                redis.history(&name, ALL).await.map(drop),
                rosters.watch(&name).await,
                bus.listen(&name).await,
            ] {
                assert!(
                    matches!(refused, Err(BrokerError::Unavailable(_))),
                    "{refused:?}"
                );
            }
        }
        assert!(
            begun.elapsed() < Duration::from_millis(500),
            "{:?}",
            begun.elapsed()
        );
        line.set(Line::Up);
        eventually("everything goes on", async || {
            let name = topic("new");
            let listened = bus.listen(&name).await;
            let watched = rosters.watch(&name).await;
            redis.subscribe(&name).await.is_ok() && watched.is_ok() && listened.is_ok()
        })
        .await;
    }
}

#[tokio::test]
async fn who_comes_for_another_server_of_a_cluster_is_not_refused() {
    for program in programs() {
        let mut cluster = ClusterOfThree::start(program).await;
        let redis = Redis::with_options(&cluster.url(), quick()).await.unwrap();
        cluster.servers[0].kill();
        until_known_away(&redis).await;
        let mut served = 0;
        for number in 0..30 {
            let (name, begun) = (topic(&number.to_string()), Instant::now());
            let subscribed = redis.subscribe(&name).await;
            assert!(
                begun.elapsed() < Duration::from_millis(500),
                "{:?}",
                begun.elapsed()
            );
            served += usize::from(subscribed.is_ok());
        }
        assert!((1..30).contains(&served), "{served}");
    }
}

#[tokio::test]
async fn a_restart_that_loses_nothing_begins_a_life_that_continues() {
    for program in programs() {
        let disk = ["--appendonly", "yes", "--appendfsync", "always"];
        let mut server = Server::start(program, &disk).await;
        let (store, recorder) = connect(&server.url(), quick()).await;
        let topic = topic("kept");
        watch(&store, [&topic]).await;
        for text in ["a", "b", "c"] {
            publish(&store, &topic, text).await;
        }
        let before = read(&store, &topic, ALL).await.history;
        assert_eq!((before.position.offset, before.continues), (3, None));
        let resumed = *recorder.resumed.lock();
        server.restart().await;
        recorder.until_unwatched(&topic).await;
        eventually("the feed is told", async || {
            *recorder.resumed.lock() > resumed
        })
        .await;
        // A check is enough for the new life.
        let top = tops(&store, [&topic]).await[0].unwrap();
        assert_ne!(top.position.epoch, before.position.epoch);
        assert!(top.position.epoch > before.position.epoch);
        assert_eq!(
            (top.position.offset, top.continues),
            (3, Some(before.position))
        );
        let after = read(&store, &topic, ALL).await.history;
        assert_eq!(
            (after.position, after.continues),
            (top.position, top.continues)
        );
        assert_eq!(after.publications, before.publications);
        watch(&store, [&topic]).await;
        let next = publish(&store, &topic, "d").await;
        assert_eq!(next, Position::new(top.position.epoch, 4));
        recorder.until_texts(&topic, &["a", "b", "c", "d"]).await;
        assert_eq!(recorder.groups(&topic)[3].continues, Some(before.position));
    }
}

#[tokio::test]
async fn a_restart_that_loses_everything_begins_a_life_that_continues_none() {
    for program in programs() {
        let mut server = Server::start(program, &[]).await;
        let (store, recorder) = connect(&server.url(), quick()).await;
        let topic = topic("lost");
        watch(&store, [&topic]).await;
        let before = publish(&store, &topic, "a").await;
        server.restart().await;
        recorder.until_unwatched(&topic).await;
        until_healed(&store).await;
        assert_eq!(tops(&store, [&topic]).await, [None]);
        let history = read(&store, &topic, ALL).await.history;
        assert_ne!(history.position.epoch, before.epoch);
        assert_eq!((history.position.offset, history.continues), (0, None));
        // The same without a restart.
        server.ask::<()>(&["FLUSHALL"]).await;
        let after = publish(&store, &topic, "b").await;
        assert_eq!(after.offset, 1);
        assert_ne!(after.epoch, history.position.epoch);
    }
}

#[tokio::test]
async fn a_failover_that_loses_what_was_acknowledged_is_told_by_the_positions() {
    for program in programs() {
        let mut master = Server::start(program, &[]).await;
        let line = Proxy::start(master.port).await;
        let replica = replica(program, line.port).await;
        let front = Proxy::start(master.port).await;
        let (store, recorder) = connect(&url(front.port), quick()).await;
        let topic = topic("failover");
        watch(&store, [&topic]).await;
        let mut shared = publish(&store, &topic, "1").await;
        for text in ["2", "3"] {
            shared = publish(&store, &topic, text).await;
        }
        let written = master.replicated().await;
        eventually("the replica has all three", async || {
            replica.replicated().await >= written
        })
        .await;
        line.set(Line::Cut);
        for text in ["4", "5", "6"] {
            let acknowledged = publish(&store, &topic, text).await;
            assert_eq!(acknowledged.epoch, shared.epoch);
        }
        recorder
            .until_texts(&topic, &["1", "2", "3", "4", "5", "6"])
            .await;
        master.kill();
        replica.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        front.lead_to(replica.port);
        recorder.until_unwatched(&topic).await;
        until_healed(&store).await;
        // Whoever saw 6 of the old life is not told that 4 of the new one is the 7th.
        let history = read(&store, &topic, ALL).await;
        assert_eq!(texts(&history), ["1", "2", "3"]);
        let history = history.history;
        assert_eq!(history.continues, Some(shared));
        assert_ne!(history.position.epoch, shared.epoch);
        let next = publish(&store, &topic, "4'").await;
        assert_eq!(next, Position::new(history.position.epoch, 4));
    }
}

#[tokio::test]
async fn a_server_that_stands_still_is_left_and_found_again() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, recorder) = connect(&server.url(), quick()).await;
        let topic = topic("paused");
        watch(&store, [&topic]).await;
        let before = publish(&store, &topic, "a").await;
        server.pause();
        let doubt = try_publish(&store, &topic).await;
        assert!(matches!(doubt, Err(BrokerError::InDoubt(_))), "{doubt:?}");
        eventually("nothing is sent any more", async || {
            matches!(
                try_publish(&store, &topic).await,
                Err(BrokerError::Unavailable(_))
            )
        })
        .await;
        recorder.until_unwatched(&topic).await;
        server.resume();
        until_healed(&store).await;
        let history = read(&store, &topic, ALL).await.history;
        assert_eq!(history.position.epoch, before.epoch);
        watch(&store, [&topic]).await;
        publish(&store, &topic, "b").await;
        eventually("pushes come again", async || {
            recorder
                .texts(&topic)
                .last()
                .is_some_and(|text| text == "b")
        })
        .await;
    }
}

#[tokio::test]
async fn a_line_that_fails_in_one_direction_or_in_the_midst_is_left() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let proxy = Proxy::start(server.port).await;
        let (store, recorder) = connect(&url(proxy.port), quick()).await;
        let topic = topic("line");
        for line in [Line::HeldBack, Line::Held, Line::Cut] {
            watch(&store, [&topic]).await;
            proxy.set(Line::Slow(Duration::from_millis(100)));
            let publishing = try_publish(&store, &topic);
            let failing = async {
                eventually("the request is under way", async || {
                    let calls = server.info("commandstats", "cmdstat_evalsha").await;
                    calls.is_some() || line == Line::Held
                })
                .await;
                proxy.set(line);
            };
            let (published, ()) = tokio::join!(publishing, failing);
            let is_told = matches!(
                published,
                Err(BrokerError::InDoubt(_) | BrokerError::Unavailable(_)) | Ok(_)
            );
            assert!(is_told, "{published:?}");
            recorder.until_unwatched(&topic).await;
            proxy.set(Line::Up);
            until_healed(&store).await;
            server.ask::<()>(&["CONFIG", "RESETSTAT"]).await;
        }
    }
}

#[tokio::test]
async fn scripts_that_are_gone_are_sent_again_in_order() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), quick()).await;
        let topic = topic("scripts");
        for round in 0..20_u64 {
            server.ask::<()>(&["SCRIPT", "FLUSH"]).await;
            let texts: Vec<_> = (0..8).map(|number| format!("{round}/{number}")).collect();
            let published = texts
                .iter()
                .map(|text| store.publish(&topic, vec![kept(text)]));
            let offsets = join_all(published).await.into_iter().map(|appended| {
                let outcome = appended.unwrap().outcomes.remove(0);
                outcome.unwrap().position.offset
            });
            let expected: Vec<_> = (round * 8 + 1..=round * 8 + 8).collect();
            assert_eq!(offsets.collect::<Vec<_>>(), expected);
        }
    }
}

#[tokio::test]
async fn connections_that_the_server_closes_are_made_again() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, recorder) = connect(&server.url(), quick()).await;
        let topic = topic("killed");
        for kind in ["pubsub", "normal", "pubsub"] {
            watch(&store, [&topic]).await;
            let resumed = *recorder.resumed.lock();
            server.ask::<i64>(&["CLIENT", "KILL", "TYPE", kind]).await;
            recorder.until_unwatched(&topic).await;
            eventually("the feed is told", async || {
                *recorder.resumed.lock() > resumed
            })
            .await;
        }
        watch(&store, [&topic]).await;
        publish(&store, &topic, "a").await;
        recorder.until_texts(&topic, &["a"]).await;
    }
}

#[tokio::test]
async fn a_connection_for_pushes_that_falls_silent_is_made_again() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let proxy = Proxy::start(server.port).await;
        let (store, recorder) = connect(&url(proxy.port), quick()).await;
        let topic = topic("silent");
        watch(&store, [&topic]).await;
        publish(&store, &topic, "a").await;
        recorder.until_texts(&topic, &["a"]).await;
        proxy.set(Line::HeldSecond);
        // Commands go on, and acknowledge what is not pushed.
        publish(&store, &topic, "b").await;
        recorder.until_unwatched(&topic).await;
        publish(&store, &topic, "c").await;
        watch(&store, [&topic]).await;
        publish(&store, &topic, "d").await;
        recorder.until_texts(&topic, &["a", "d"]).await;
    }
}

#[tokio::test]
async fn a_full_server_says_so_and_still_serves_what_it_has() {
    for program in programs() {
        let server = Server::start(program, &[]).await;
        let (store, _) = connect(&server.url(), quick()).await;
        let topic = topic("full");
        let before = publish(&store, &topic, "a").await;
        server.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
        let full = try_publish(&store, &topic).await;
        assert!(matches!(full, Err(BrokerError::Full(_))), "{full:?}");
        assert_eq!(texts(&read(&store, &topic, ALL).await), ["a"]);
        assert_eq!(tops(&store, [&topic]).await[0].unwrap().position, before);
        server.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
        assert_eq!(publish(&store, &topic, "b").await.offset, 2);
    }
}

#[tokio::test]
async fn a_replica_is_refused_and_a_master_that_becomes_one_is_left() {
    for program in programs() {
        let master = Server::start(program, &[]).await;
        let replica = replica(program, master.port).await;
        let refused = RedisStore::connect(&replica.url(), quick()).await;
        let refused = format!("{:?}", refused.unwrap_err());
        assert!(refused.contains("Replica"), "{refused}");
        let (store, recorder) = connect(&master.url(), quick()).await;
        let topic = topic("demoted");
        watch(&store, [&topic]).await;
        let port = replica.port.to_string();
        master.ask::<()>(&["REPLICAOF", "127.0.0.1", &port]).await;
        let demoted = try_publish(&store, &topic).await;
        assert!(
            matches!(demoted, Err(BrokerError::Unavailable(_))),
            "{demoted:?}"
        );
        recorder.until_unwatched(&topic).await;
        master.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
        until_healed(&store).await;
    }
}

#[tokio::test]
async fn sentinels_lead_to_the_master_of_the_day() {
    for program in programs() {
        let mut master = Server::start(program, &[]).await;
        let replica = replica(program, master.port).await;
        let sentinels = sentinels(program, master.port).await;
        let hosts: Vec<_> = sentinels
            .iter()
            .map(|one| format!("127.0.0.1:{}", one.port))
            .collect();
        // The first one is away.
        let url = format!("redis+sentinel://127.0.0.1:1,{}/main", hosts.join(","));
        let (store, recorder) = connect(&url.parse().unwrap(), quick()).await;
        let topic = topic("sentinel");
        watch(&store, [&topic]).await;
        let before = publish(&store, &topic, "a").await;
        let written = master.replicated().await;
        eventually("the replica has it", async || {
            replica.replicated().await >= written
        })
        .await;
        master.kill();
        recorder.until_unwatched(&topic).await;
        until_healed(&store).await;
        let history = read(&store, &topic, ALL).await;
        assert_eq!(texts(&history), ["a"]);
        assert_eq!(history.history.continues, Some(before));
        let unknown = url.replace("/main", "/other").parse().unwrap();
        let unknown = format!(
            "{:?}",
            RedisStore::connect(&unknown, quick()).await.unwrap_err()
        );
        assert!(unknown.contains("UnknownMaster"), "{unknown}");
    }
}

#[tokio::test]
async fn a_slot_may_move_while_it_is_published_to() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let options = RedisOptions::default();
        let (store, recorder) = connect(&cluster.url(), options).await;
        let topic = topic("moving");
        watch(&store, [&topic]).await;
        publish(&store, &topic, "first").await;
        let (key, slot) = cluster.find("*:t:moving").await;
        let to = (cluster.owner(slot).await + 1) % 3;
        let mut expected = 1;
        let mut publish_some = async |count: u64| {
            let publish = |number: u64| {
                let key = format!("{expected}/{number}");
                let key = CommandKey::owned("ada", &key).unwrap();
                let publish = kept(&number.to_string()).once(key, Duration::from_secs(60));
                store.publish(&topic, vec![publish])
            };
            let published = join_all((0..count).map(publish)).await;
            for appended in published {
                expected += 1;
                let stored = appended.unwrap().outcomes.remove(0).unwrap();
                assert_eq!(stored.position.offset, expected);
            }
        };
        publish_some(10).await;
        let (half, halfway) = tokio::sync::oneshot::channel();
        let midway = async || {
            let source = &cluster.servers[(to + 2) % 3];
            let port = cluster.servers[to].port.to_string();
            let [history]: [String; 1] = source.ask(&["KEYS", "*:h:moving"]).await;
            let migrate = [
                "MIGRATE",
                "127.0.0.1",
                &port,
                "",
                "0",
                "5000",
                "KEYS",
                &key,
                &history,
            ];
            source.ask::<()>(&migrate).await;
            half.send(()).unwrap();
        };
        let publishing = async {
            // Neither server takes a key that does not exist before the slot has moved.
            halfway.await.unwrap();
            publish_some(4).await;
        };
        tokio::join!(publishing, cluster.move_slot(slot, to, midway));
        recorder.until_unwatched(&topic).await;
        publish_some(10).await;
        watch(&store, [&topic]).await;
        publish(&store, &topic, "last").await;
        eventually("pushes come from the new server", async || {
            recorder
                .texts(&topic)
                .last()
                .is_some_and(|text| text == "last")
        })
        .await;
        let history = read(&store, &topic, ALL).await.history;
        assert_eq!(history.publications.len(), 26);
        assert_eq!(cluster.owner(slot).await, to);
    }
}

#[tokio::test]
async fn what_is_published_waits_for_what_came_before_and_has_to_wait() {
    for program in programs() {
        let cluster = ClusterOfThree::start(program).await;
        let (store, _) = connect(&cluster.url(), RedisOptions::default()).await;
        let store = Arc::new(store);
        let topic = topic("waiting");
        publish(&store, &topic, "first").await;
        let (_, slot) = cluster.find("*:t:waiting").await;
        let from = cluster.owner(slot).await;
        let refused = async || {
            let errors = cluster.servers[from]
                .info("errorstats", "errorstat_TRYAGAIN")
                .await;
            errors.map_or(0, |errors| errors["count=".len()..].parse::<u32>().unwrap())
        };
        let begin = |publish: Publish| {
            let (store, topic) = (Arc::clone(&store), topic.clone());
            tokio::spawn(async move {
                let appended = store.publish(&topic, vec![publish]).await.unwrap();
                appended.outcomes[0].as_ref().unwrap().position.offset
            })
        };
        let mut begun = Vec::new();
        let midway = async || {
            // The key does not exist, so this one has to wait until the slot has moved.
            let key = CommandKey::owned("ada", "1").unwrap();
            begun.push(begin(kept("waits").once(key, Duration::from_secs(60))));
            eventually("the server refuses it", async || refused().await > 0).await;
            // This one would not have to.
            begun.push(begin(kept("could go")));
            let before = refused().await;
            eventually("it is refused again", async || refused().await > before + 2).await;
        };
        cluster.move_slot(slot, (from + 1) % 3, midway).await;
        let offsets: Vec<_> = join_all(begun)
            .await
            .into_iter()
            .map(Result::unwrap)
            .collect();
        assert_eq!(offsets, [2, 3]);
    }
}

#[tokio::test]
async fn a_master_of_a_cluster_that_is_away_leaves_the_others_alone() {
    for program in programs() {
        let mut cluster = ClusterOfThree::start(program).await;
        for server in &cluster.servers {
            let settings = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
            server.ask::<()>(&settings).await;
        }
        let (store, _) = connect(&cluster.url(), quick()).await;
        let topics: Vec<_> = (0..30)
            .map(|number| topic(&format!("topic {number}")))
            .collect();
        for topic in &topics {
            publish(&store, topic, "a").await;
        }
        cluster.servers[0].kill();
        eventually("some topics have no server", async || {
            let tops = store.tops(&topics).await;
            tops.iter().any(Result::is_err) && tops.iter().any(Result::is_ok)
        })
        .await;
        cluster.servers[0].restart().await;
        eventually("all are there again", async || {
            store.tops(&topics).await.iter().all(Result::is_ok)
        })
        .await;
    }
}
