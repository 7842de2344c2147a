//! Lines out of bytes that come in pieces.

use anstream::adapter::strip_str;

use super::MAX_LINE;

/// Collects one line at a time, of which it never holds more than is kept.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    line: Vec<u8>,
    cut: usize,
}

impl Splitter {
    /// Gives every line that ends in `piece`.
    pub(super) fn split(&mut self, piece: &[u8], mut give: impl FnMut(String)) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            self.keep(line);
            self.give(&mut give);
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
    }

    /// Gives the last line, which has no end.
    pub(super) fn finish(mut self, mut give: impl FnMut(String)) {
        if !self.line.is_empty() {
            self.give(&mut give);
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_LINE.saturating_sub(self.line.len());
        let (kept, cut) = bytes.split_at(room.min(bytes.len()));
        self.line.extend_from_slice(kept);
        self.cut += cut.len();
    }

    fn give(&mut self, give: &mut impl FnMut(String)) {
        let bytes = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        // Colours and whatever else is for a terminal would be noise in a log, and could do harm in somebody else's terminal.
        let mut text = strip_str(&String::from_utf8_lossy(bytes)).to_string();
        if self.cut > 0 {
            text.push_str(&format!("… ({} bytes left out)", self.cut));
        }
        self.line.clear();
        self.cut = 0;
        give(text);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut found) = (Splitter::default(), Vec::new());
        for piece in pieces {
            splitter.split(piece, |line| found.push(line));
        }
        splitter.finish(|line| found.push(line));
        found
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in "[a-z\r\n]{0,200}", at in 0usize..200) {
            let at = at.min(text.len());
            let (left, right) = text.as_bytes().split_at(at);
            let expected: Vec<_> = text.split_terminator('\n').map(|line| line.strip_suffix('\r').unwrap_or(line).to_owned()).collect();
            prop_assert_eq!(lines(&[left, right]), expected);
        }
    }

    #[test]
    fn what_is_for_a_terminal_is_left_out() {
        assert_eq!(lines(&[b"\x1b[31m\x1b[1mWARNING\x1b[0m: a\tb \x1b]0;title\x07c\n"]), ["WARNING: a\tb c"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_says_so() {
        let long = vec![b'x'; MAX_LINE + 5];
        let found = lines(&[&long, b"yy\nshort\n"]);
        assert_eq!(found[0], format!("{}… (7 bytes left out)", "x".repeat(MAX_LINE)));
        assert_eq!(found[1], "short");
    }
}
