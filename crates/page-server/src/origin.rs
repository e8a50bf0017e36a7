//! Where a page or a server is, as browsers write it.

use dragentity_core::{Error, Result};

/// An origin in the form that browsers send.
///
/// # Errors
/// [`Error::Job`], with how to write one.
pub fn origin(given: &str) -> Result<String> {
    let given = given.trim_end_matches('/').to_ascii_lowercase();
    let usable = given.split_once("://").is_some_and(|(scheme, host)| {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
        ["http", "https"].contains(&scheme) && !host.is_empty() && host.chars().all(plain)
    });
    if usable {
        return Ok(given);
    }
    Err(Error::Job(format!(
        "{given:?} is no origin; write it as https://example.org or http://192.168.1.2:8080, without a path"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_checked() {
        for bad in [
            "",
            "*",
            "null",
            "example.org",
            "ftp://example.org",
            "http://",
            "http://a/b",
            "http://a b",
            "http://a; script-src *",
        ] {
            assert!(origin(bad).is_err(), "{bad}");
        }
        assert_eq!(origin("HTTP://[::1]:80/").unwrap(), "http://[::1]:80");
    }
}
