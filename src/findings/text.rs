//! Untrusted text made fit to be kept and shown.
//!
//! Names and messages in a report are chosen by whoever built the scanned image. They end up in statuses, events,
//! terminals and logs, so they lose what could move a cursor, reorder a line or fill a page. This module never escapes
//! for a particular surface: HTML and the like escape where they are written.

use std::fmt;

/// Bytes kept of a package name or an identifier of a tool.
pub const MAX_NAME: usize = 256;

/// Bytes kept of a version, a status or a similar word.
pub const MAX_WORD: usize = 128;

/// Bytes kept of a message.
pub const MAX_DETAIL: usize = 240;

/// Marks a place where text was cut.
const CUT: char = '…';

/// Removes what is not visible text and cuts the rest to at most `max` bytes, on a character's boundary.
///
/// Line breaks and tabs become spaces, runs of blanks one blank. Control characters go, and so do the directional
/// marks and separators of Unicode with which a line can be made to read differently from what it says.
pub fn clean(raw: &str, max: usize) -> String {
    // Never longer than the input, save for the cut mark that replaces what is dropped.
    let mut out = String::with_capacity(raw.len().min(max));
    let mut blank_due = false;
    for c in raw.chars() {
        if c.is_whitespace() {
            blank_due = !out.is_empty();
            continue;
        }
        if c.is_control() || is_deceptive(c) {
            continue;
        }
        let blank = usize::from(blank_due);
        if out.len() + blank + c.len_utf8() > max {
            mark_cut(&mut out, max);
            return out;
        }
        if blank_due {
            out.push(' ');
            blank_due = false;
        }
        out.push(c);
    }
    out
}

/// A number and what it counts, whose plural ends in `s`. Example: `1 pod`, `2 pods`.
pub fn counted<N: fmt::Display + PartialEq + From<u8> + Copy>(n: N, noun: &str) -> String {
    let ending = if n == N::from(1) { "" } else { "s" };
    format!("{n} {noun}{ending}")
}

/// [`clean`] for a text that may be absent; absent and empty are the same.
pub(super) fn clean_option(raw: Option<&str>, max: usize) -> Option<String> {
    raw.map(|raw| clean(raw, max)).filter(|text| !text.is_empty())
}

fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn mark_cut(out: &mut String, max: usize) {
    let Some(room) = max.checked_sub(CUT.len_utf8()) else {
        return;
    };
    while out.len() > room {
        out.pop();
    }
    out.push(CUT);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plain_text_stays_as_it_is() {
        assert_eq!(clean("Jinja2 3.1.0", 100), "Jinja2 3.1.0");
    }

    #[test]
    fn one_of_a_thing_is_told_in_the_singular() {
        assert_eq!([0, 1, 2].map(|n: usize| counted(n, "pod")), ["0 pods", "1 pod", "2 pods"]);
    }

    #[test]
    fn a_terminal_cannot_be_steered() {
        assert_eq!(clean("a\u{1b}[2Jb\r\nc\0", 100), "a[2Jb c");
    }

    #[test]
    fn a_line_cannot_be_reordered() {
        assert_eq!(clean("\u{202e}drawkcab\u{2066}", 100), "drawkcab");
    }

    #[test]
    fn a_cut_is_shown_and_lies_on_a_boundary() {
        assert_eq!(clean("äöüäöü", 8), "äö…");
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abc…");
        assert_eq!(clean("abc", 2), "ab");
    }

    proptest! {
        #[test]
        fn the_bound_holds_for_every_text(raw in ".*", max in 0usize..64) {
            let cleaned = clean(&raw, max);
            prop_assert!(cleaned.len() <= max);
            prop_assert!(!cleaned.chars().any(char::is_control));
        }
    }
}
