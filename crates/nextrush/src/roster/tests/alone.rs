//! A node alone: everything happens at once, and nothing is stored.

use futures_util::FutureExt as _;

use super::*;

struct Alone {
    rosters: Rosters<TestRules>,
    client: Arc<Mutex<Client>>,
    arrivals: Arrivals,
}

impl Alone {
    fn new(room: usize) -> Self {
        let client = Arc::default();
        let rules = TestRules {
            room,
            ..TestRules::new(&client)
        };
        let living = || -> futures_util::future::BoxFuture<'static, _> {
            Box::pin(std::future::ready(Ok(HashSet::new())))
        };
        let host = RosterHost::with_seed(None, home("alone", 1), living, 1);
        Self {
            rosters: Rosters::new(&host, rules),
            client,
            arrivals: Arrivals::default(),
        }
    }

    fn join(&self, number: u32, device: Device) {
        let arrival = self.arrivals.of(number);
        let settled = self
            .rosters
            .join(&roster(), socket(number), device, arrival);
        assert!(settled.now_or_never().unwrap().is_ok());
    }

    fn leave(&self, number: u32) {
        self.rosters.leave(&roster(), socket(number));
    }

    fn told(&self) -> Vec<String> {
        self.client.lock().told()
    }
}

#[test]
fn everything_has_happened_when_a_wish_returns() {
    let alone = Alone::new(1000);
    alone.join(1, device(7, None));
    alone.join(2, device(8, None));
    assert_eq!(alone.told(), ["joined 7 0", "joined 8 0"]);
    let arrivals = alone.arrivals.take();
    assert_eq!(arrivals, [(1, Arrives::In(1, 1)), (2, Arrives::In(2, 2))]);
    let says = Arc::new(Device {
        says: 5,
        ..device(8, None)
    });
    let updated = alone
        .rosters
        .update(&roster(), socket(2), Arc::clone(&says));
    assert!(updated.now_or_never().unwrap().is_ok());
    let shown = alone.rosters.shown(&roster()).unwrap();
    assert_eq!((shown.version(), shown.len()), (3, 2));
    // The very member that was given.
    assert!(Arc::ptr_eq(&shown.get(2).unwrap().member, &says));
    alone.leave(1);
    assert_eq!(alone.told(), ["updated 8 5", "left 7 0"]);
    let gone = alone.rosters.update(&roster(), socket(1), says);
    assert!(matches!(gone.now_or_never(), Some(Err(Unsettled::Gone))));
    alone.leave(2);
    assert_eq!(alone.told(), ["left 8 5"]);
    assert!(alone.rosters.shown(&roster()).is_none());
    assert_eq!(alone.rosters.followed(), []);
}

#[test]
fn a_socket_that_joins_again_leaves_first() {
    let alone = Alone::new(1000);
    alone.join(1, device(7, None));
    alone.join(1, device(8, None));
    assert_eq!(alone.told(), ["joined 7 0", "left 7 0", "joined 8 0"]);
    alone.leave(1);
    assert_eq!(alone.told(), ["left 8 0"]);
}

#[test]
fn those_for_whom_there_is_no_room_come_in_as_soon_as_there_is_and_in_their_order() {
    let alone = Alone::new(1);
    for number in 1..=4 {
        alone.join(number, device(number, None));
    }
    let waits = |number| (number, Arrives::Waits);
    assert_eq!(
        alone.arrivals.take(),
        [(1, Arrives::In(1, 1)), waits(2), waits(3), waits(4)]
    );
    alone.leave(2);
    assert_eq!(alone.told(), ["joined 1 0"]);
    alone.leave(1);
    assert_eq!(alone.told(), ["left 1 0", "joined 3 0"]);
    alone.rosters.lose(&roster(), socket(4));
    alone.leave(3);
    assert_eq!(alone.told(), ["left 3 0"]);
}

#[test]
fn a_lost_member_is_waited_for_and_nobody_hears_of_it_when_it_comes_back() {
    in_virtual_time(async {
        let alone = Alone::new(1000);
        alone.join(1, device(7, 1));
        alone.join(2, device(8, 1));
        alone.told();
        alone.rosters.lose(&roster(), socket(1));
        alone.rosters.lose(&roster(), socket(2));
        tokio::time::sleep(GRACE - Duration::from_millis(5)).await;
        alone.arrivals.take();
        alone.join(3, device(7, 1));
        assert_eq!(alone.arrivals.take(), [(3, Arrives::In(1, 2))]);
        assert_eq!(alone.told(), [""; 0]);
        // The old connection has nothing to say any more.
        alone.leave(1);
        assert_eq!(alone.told(), [""; 0]);
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(alone.told(), ["left 8 0"]);
        tokio::time::sleep(GRACE).await;
        assert_eq!(alone.told(), [""; 0]);
        assert_eq!(alone.rosters.shown(&roster()).unwrap().version(), 3);
    });
}

#[test]
fn members_that_come_as_lost_ones_are_told_to_nobody() {
    in_virtual_time(async {
        let alone = Alone::new(1000);
        let until = alone.rosters.host().now_ms() + 15_000;
        let act = move |draft: &mut Draft<'_, TestRules>| {
            draft.raise_version_to(40);
            for number in [3, 9] {
                let member = Arc::new(device(u32::try_from(number).unwrap(), 1));
                draft.put(number, Record::new(Place::LostUntil(until), member));
            }
        };
        alone.rosters.act(&roster(), act).await.unwrap();
        assert_eq!(alone.told(), [""; 0]);
        alone.join(1, device(9, 1));
        alone.join(2, device(5, 1));
        assert_eq!(
            alone.arrivals.take(),
            [(1, Arrives::In(9, 2)), (2, Arrives::In(10, 3))]
        );
        tokio::time::sleep(GRACE + Duration::from_millis(1)).await;
        assert_eq!(alone.told(), ["joined 5 0", "left 3 0"]);
        assert_eq!(alone.rosters.shown(&roster()).unwrap().version(), 42);
    });
}

#[test]
fn an_arrival_whose_socket_has_gone_lets_it_leave() {
    let alone = Alone::new(1000);
    let rosters = alone.rosters.clone();
    let arrival = Arrival(Box::new(move |_| rosters.leave(&roster(), socket(1))));
    let settled = alone
        .rosters
        .join(&roster(), socket(1), device(7, None), arrival);
    assert!(settled.now_or_never().unwrap().is_ok());
    assert_eq!(alone.told(), ["joined 7 0", "left 7 0"]);
}
