//! Choices, drawn from the bytes of an input.

/// Gives one choice after the other. Where the bytes are used up every choice is the first, so that a shorter input is a
/// simpler one.
#[derive(Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A number below `below`, which is not 0.
    pub fn below(&mut self, below: usize) -> usize {
        let low = usize::from(self.byte().unwrap_or_default());
        let high = if below > 256 { usize::from(self.byte().unwrap_or_default()) } else { 0 };
        (high * 256 + low) % below
    }

    /// One of these, of which there is at least one.
    pub fn of<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// True for half of all bytes.
    pub fn flip(&mut self) -> bool {
        self.below(2) == 1
    }

    /// So many bytes, or what is left.
    pub fn take(&mut self, bytes: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Where an input is cut to see what a part of it is taken for: in the middle, near its ends, and where its own content
/// says, so that a fuzzer can reach every place.
pub fn cuts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let whole = bytes.trim_ascii_end().len();
    let sum = bytes.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let drawn = if whole == 0 { 0 } else { sum % whole };
    let at = [whole.saturating_sub(1), whole / 2, whole / 4, drawn];
    at.into_iter().filter(move |at| *at < whole).map(move |at| &bytes[..at])
}
