//! Of what there are few, so that no one client has all of them.

use super::entry::locked;
use dragentity_page_server::neighbourhood;
use std::net::IpAddr;
use std::sync::Mutex;

/// Places, of which one address may have some. This machine's own may have all, since a server in front of this one asks from
/// there for everybody.
pub struct Shares {
    most: usize,
    each: usize,
    held: Mutex<Vec<IpAddr>>,
}

impl Shares {
    /// `most` places, of which one address may have `each`.
    pub fn new(most: usize, each: usize) -> Self {
        let held = Mutex::default();
        Self { most, each, held }
    }

    /// One of them, if there is one for this address.
    pub fn take(&self, address: IpAddr) -> Option<Share<'_>> {
        let of = neighbourhood(address);
        let mut held = locked(&self.held);
        let own = held.iter().filter(|&&other| other == of).count();
        let may = held.len() < self.most && (own < self.each || of.is_loopback());
        may.then(|| {
            held.push(of);
            Share { of, shares: self }
        })
    }
}

/// A place; it is free again when this is dropped.
pub struct Share<'a> {
    of: IpAddr,
    shares: &'a Shares,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        let mut held = locked(&self.shares.held);
        if let Some(at) = held.iter().position(|&other| other == self.of) {
            held.swap_remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others() {
        let shares = Shares::new(3, 2);
        let [a, b, own] = ["10.0.0.1", "10.0.0.2", "127.0.0.1"].map(|a| a.parse().unwrap());
        let first = shares.take(a);
        let second = shares.take(a);
        assert!(first.is_some() && second.is_some() && shares.take(a).is_none());
        let third = shares.take(b);
        assert!(third.is_some() && shares.take(own).is_none());
        drop((first, second, third));
        let all: Vec<_> = (0..3).map(|_| shares.take(own)).collect();
        assert!(all.iter().all(Option::is_some) && shares.take(own).is_none());
    }
}
