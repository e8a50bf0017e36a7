//! What the page and a server say to each other, as bytes: a job as a multipart body, its events as server-sent ones. Knows
//! no browser.

use dragentity_core::JobEvent;

/// A body of `multipart/form-data` with a picture and other parts by their names, as `POST /api/jobs` and `/api/masks` take
/// them, and its content type.
pub fn form_body(picture: &[u8], others: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    // What separates the parts must be in none of them.
    let within = |edge: &str| {
        let contains = |bytes: &[u8]| bytes.windows(edge.len()).any(|w| w == edge.as_bytes());
        contains(picture) || others.iter().any(|(_, bytes)| contains(bytes))
    };
    let edge = (0u64..)
        .map(|k| format!("dragentity-{k}"))
        .find(|edge| !within(edge))
        .unwrap_or_default();
    let length: usize = others.iter().map(|(_, bytes)| bytes.len() + 200).sum();
    let mut body = Vec::with_capacity(picture.len() + length + 400);
    let others = others
        .iter()
        .map(|(name, bytes)| (format!("name=\"{name}\""), *bytes));
    let first = "name=\"picture\"; filename=\"the picture\"".to_owned();
    for (head, bytes) in [(first, picture)].into_iter().chain(others) {
        let head = format!("--{edge}\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{edge}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={edge}"), body)
}

/// Longest line of an event stream that is kept, in bytes. Events are far shorter.
const LONGEST_LINE: usize = 1 << 20;

/// Reads server-sent events from the pieces in which they arrive.
#[derive(Default)]
pub struct EventReader {
    line: Vec<u8>,
    number: u64,
}

impl EventReader {
    /// The events that `piece` completes, under their numbers. What is none is passed over.
    pub fn push(&mut self, piece: &[u8]) -> Vec<(u64, JobEvent)> {
        let mut events = Vec::new();
        for &byte in piece {
            if byte != b'\n' {
                if self.line.len() < LONGEST_LINE {
                    self.line.push(byte);
                }
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let Ok(line) = std::str::from_utf8(&line) else {
                continue;
            };
            match line.trim_end_matches('\r').split_once(": ") {
                Some(("id", number)) => self.number = number.parse().unwrap_or(self.number),
                // Our server writes every event's data on one line, its number before it.
                Some(("data", data)) => {
                    events.extend(serde_json::from_str(data).ok().map(|e| (self.number, e)));
                }
                _ => {}
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_arrive_in_any_pieces() {
        let stream = ": comment\n\nid: 3\ndata: {\"phase\":\"encoding\"}\n\nevent: x\ndata: nonsense\n\nid: 5\r\n\
                      data: {\"phase\":\"failed\",\"error\":\"zu groß\"}\r\n\r\n";
        let expected = [
            (3, JobEvent::Encoding),
            (
                5,
                JobEvent::Failed {
                    error: "zu groß".into(),
                },
            ),
        ];
        for size in [1, 2, 7, 1000] {
            let mut reader = EventReader::default();
            let pieces = stream.as_bytes().chunks(size);
            let events: Vec<_> = pieces.flat_map(|piece| reader.push(piece)).collect();
            assert_eq!(events, expected, "pieces of {size}");
        }
        // What never ends its line is not kept for ever.
        let mut reader = EventReader::default();
        for _ in 0..20 {
            assert!(reader.push(&vec![b'x'; 1 << 17]).is_empty());
        }
        assert!(reader.line.len() <= LONGEST_LINE);
    }

    #[test]
    fn the_edge_is_in_no_part() {
        let (kind, body) = form_body(
            b"a dragentity-0 b",
            &[("preset", b"c dragentity-1 d".as_slice())],
        );
        assert_eq!(kind, "multipart/form-data; boundary=dragentity-2");
        assert!(body.ends_with(b"\r\nc dragentity-1 d\r\n--dragentity-2--\r\n"));
    }
}
