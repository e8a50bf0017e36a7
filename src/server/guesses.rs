//! Wrong tokens, counted by address: who guesses has few guesses.

use super::entry::locked;
use dragentity_page_server::neighbourhood;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Wrong tokens that an address may send within [`WINDOW`].
const FREE: u32 = 10;
/// From the first of them on.
const WINDOW: Duration = Duration::from_secs(60);
/// Addresses that are remembered.
const MOST: usize = 4096;

/// Who sent wrong tokens lately. This machine's own addresses are let guess: a server in front of this one asks from there for
/// everybody, and one who guesses would lock all others out.
#[derive(Default)]
pub struct Guesses {
    by: Mutex<BTreeMap<IpAddr, (Instant, u32)>>,
}

impl Guesses {
    /// How long an address has to wait before its tokens are looked at again, if it has to.
    pub fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let (since, count) = *locked(&self.by).get(&neighbourhood(address))?;
        let left = WINDOW.checked_sub(now.saturating_duration_since(since))?;
        (count >= FREE).then_some(left)
    }

    /// Notes a wrong token.
    pub fn wrong(&self, address: IpAddr, now: Instant) {
        let of = neighbourhood(address);
        if of.is_loopback() {
            return;
        }
        let mut by = locked(&self.by);
        by.retain(|_, (since, _)| now.saturating_duration_since(*since) <= WINDOW);
        if by.len() >= MOST && !by.contains_key(&of) {
            // Whoever has so many addresses has guesses enough; the oldest would be forgotten next.
            let oldest = by.iter().min_by_key(|(_, (since, _))| *since);
            if let Some(oldest) = oldest.map(|(&address, _)| address) {
                by.remove(&oldest);
            }
        }
        by.entry(of).or_insert((now, 0)).1 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_few_guesses_a_minute() {
        let guesses = Guesses::default();
        let [a, b, own] = ["10.0.0.1", "10.0.0.2", "127.0.0.1"].map(|a| a.parse().unwrap());
        let now = Instant::now();
        for _ in 0..FREE {
            assert_eq!(guesses.wait(a, now), None);
            guesses.wrong(a, now);
            guesses.wrong(own, now);
        }
        assert_eq!(guesses.wait(a, now), Some(WINDOW));
        assert_eq!(guesses.wait(b, now), None);
        assert_eq!(guesses.wait(own, now), None);
        let later = now + WINDOW + Duration::from_secs(1);
        assert_eq!(guesses.wait(a, later), None);
        guesses.wrong(a, later);
        assert_eq!(guesses.wait(a, later), None);
    }

    #[test]
    fn few_addresses_are_remembered() {
        let guesses = Guesses::default();
        let now = Instant::now();
        for n in 0..3 * MOST {
            guesses.wrong(IpAddr::from((n as u32 + (10 << 24)).to_be_bytes()), now);
        }
        assert_eq!(locked(&guesses.by).len(), MOST);
    }
}
