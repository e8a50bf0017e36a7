//! Who has a connection, and who gives way when there is no place left.
//!
//! A client that neither reads nor writes costs nothing but its place, so that places are what somebody takes who wants to stop
//! the server. They are shared out by address: whoever comes from an address that has fewer of them than others gets one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// Who counts as one client: an IPv4 address, or the network that an IPv6 address is of, since whoever has one of its
/// addresses has all of them.
pub fn neighbourhood(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            let of_network = Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0);
            // Loopback is an address among those of no network.
            IpAddr::V6(if v6.is_loopback() { v6 } else { of_network })
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// One connection that has a place.
pub struct Connection {
    from: IpAddr,
    begun: Instant,
    /// Milliseconds from `begun` until something was last read or written.
    moved: AtomicU64,
    leave: Notify,
}

impl Connection {
    /// Notes that something was read or written.
    pub fn moves(&self) {
        let now = self.begun.elapsed().as_millis();
        self.moved
            .store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last_moved(&self) -> Instant {
        self.begun + Duration::from_millis(self.moved.load(Ordering::Relaxed))
    }

    /// Waits until its place is given to another.
    pub async fn told_to_leave(&self) {
        self.leave.notified().await;
    }
}

/// Why there is no place.
#[derive(Debug, PartialEq, Eq)]
pub enum NoPlace {
    /// The address has as many as one may have, and uses all of them.
    Greedy,
    /// All are in use; one may be free after this time.
    Full(Duration),
}

/// The places.
pub struct Places {
    /// How many there are.
    most: usize,
    /// How many an address may have. This machine's own may have all: in front of them is perhaps another server, which
    /// knows the addresses.
    share: usize,
    /// Who has neither read nor written for so long gives way.
    still: Duration,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    by: BTreeMap<u64, Arc<Connection>>,
}

impl Held {
    fn count(&self, from: IpAddr) -> usize {
        self.by.values().filter(|c| c.from == from).count()
    }

    /// The address that has most, and how many; of several of the same number `first`, if it is one of them.
    fn crowd(&self, first: IpAddr) -> (IpAddr, usize) {
        let counts = self.by.values().fold(BTreeMap::new(), |mut counts, c| {
            *counts.entry(c.from).or_insert(0) += 1;
            counts
        });
        let most = counts
            .into_iter()
            .max_by_key(|&(from, count)| (count, from == first));
        most.unwrap_or((first, 0))
    }

    /// Which of an address's connections has been still for longest, and since when.
    fn stalest(&self, from: IpAddr) -> Option<(u64, Instant)> {
        let of = self.by.iter().filter(|(_, c)| c.from == from);
        of.map(|(&number, c)| (number, c.last_moved()))
            .min_by_key(|&(_, moved)| moved)
    }

    fn dismiss(&mut self, number: u64) {
        if let Some(connection) = self.by.remove(&number) {
            connection.leave.notify_one();
        }
    }
}

impl Places {
    /// So many places, of which one address may have `share`.
    pub fn new(most: usize, share: usize, still: Duration) -> Arc<Self> {
        let held = Mutex::default();
        Arc::new(Self {
            most,
            share,
            still,
            held,
        })
    }

    /// A place for a client, which another may have to give up for it.
    ///
    /// # Errors
    /// [`NoPlace`], when nobody is to give way for it.
    pub fn take(self: &Arc<Self>, address: IpAddr) -> Result<Place, NoPlace> {
        let now = Instant::now();
        let from = neighbourhood(address);
        let mut held = self.held();
        let own = held.count(from);
        let greedy = own >= self.share && !from.is_loopback();
        if greedy || held.by.len() >= self.most {
            let (crowd, count) = match greedy {
                true => (from, own),
                false => held.crowd(from),
            };
            if let Some((number, moved)) = held.stalest(crowd) {
                let still = now.saturating_duration_since(moved);
                // However busy the crowd is, who has fewer places than it comes before it.
                if still >= self.still || count > own + 1 {
                    held.dismiss(number);
                } else if greedy {
                    return Err(NoPlace::Greedy);
                } else if let Some((number, _)) = held.stalest(from) {
                    // Streams that go on for ever are never still: what a client asks for now comes before what it hears already.
                    held.dismiss(number);
                } else {
                    return Err(NoPlace::Full(self.still - still));
                }
            }
        }
        let connection = Arc::new(Connection {
            from,
            begun: now,
            moved: AtomicU64::new(0),
            leave: Notify::new(),
        });
        let number = held.next;
        held.next += 1;
        held.by.insert(number, connection.clone());
        drop(held);
        Ok(Place {
            places: self.clone(),
            number,
            connection,
        })
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Whole after every statement, whoever panicked.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place; it is free again when this is dropped.
pub struct Place {
    places: Arc<Places>,
    number: u64,
    /// Who has it.
    pub connection: Arc<Connection>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.held().by.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(1000);

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    async fn has_left(place: &Place) -> bool {
        let told = place.connection.told_to_leave();
        tokio::time::timeout(Duration::ZERO, told).await.is_ok()
    }

    #[test]
    fn networks_are_one_client() {
        for (address, of) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::1"),
        ] {
            assert_eq!(neighbourhood(ip(address)), ip(of));
        }
    }

    #[tokio::test]
    async fn an_address_has_its_share_and_no_more() {
        let places = Places::new(10, 2, LONG);
        let (greedy, other) = (ip("10.0.0.1"), ip("10.0.0.2"));
        let first = places.take(greedy).unwrap();
        let _second = places.take(greedy).unwrap();
        assert_eq!(places.take(greedy).err(), Some(NoPlace::Greedy));
        assert!(places.take(other).is_ok());
        drop(first);
        assert!(places.take(greedy).is_ok());
    }

    #[tokio::test]
    async fn who_is_still_gives_way_and_the_stillest_first() {
        let places = Places::new(10, 2, Duration::ZERO);
        let address = ip("10.0.0.1");
        let first = places.take(address).unwrap();
        let second = places.take(address).unwrap();
        std::thread::sleep(Duration::from_millis(3));
        first.connection.moves();
        let third = places.take(address).unwrap();
        assert!(has_left(&second).await);
        assert!(!has_left(&first).await && !has_left(&third).await);
    }

    #[tokio::test]
    async fn who_has_few_places_comes_before_a_crowd() {
        let places = Places::new(4, 4, LONG);
        let crowd: Vec<_> = (0..4)
            .map(|_| places.take(ip("10.0.0.1")).unwrap())
            .collect();
        let other = places.take(ip("10.0.0.2")).unwrap();
        let mut left = 0;
        for place in &crowd {
            left += usize::from(has_left(place).await);
        }
        assert_eq!(left, 1);
        // Shared out evenly, nobody of another address has to go: who comes takes a place of its own.
        let _third = places.take(ip("10.0.0.2")).unwrap();
        let _fourth = places.take(ip("10.0.0.2")).unwrap();
        assert!(has_left(&other).await);
        let mut left = 0;
        for place in &crowd {
            left += usize::from(has_left(place).await);
        }
        assert_eq!(left, 1);
    }

    #[tokio::test]
    async fn who_has_none_waits_where_nobody_has_more_than_one() {
        let places = Places::new(2, 2, LONG);
        let held: Vec<_> = (1..3)
            .map(|i| places.take(ip(&format!("10.0.0.{i}"))).unwrap())
            .collect();
        assert!(matches!(places.take(ip("10.0.0.9")), Err(NoPlace::Full(_))));
        drop(held);
        assert!(places.take(ip("10.0.0.9")).is_ok());
    }

    #[test]
    fn this_machine_may_have_all_places() {
        let places = Places::new(4, 1, LONG);
        let all: Vec<_> = (0..4).map(|_| places.take(ip("127.0.0.1"))).collect();
        assert!(all.iter().all(Result::is_ok));
        assert!(places.take(ip("10.0.0.1")).is_ok());
    }
}
