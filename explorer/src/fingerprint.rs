//! What a state is remembered by.

use std::hash::{Hash, Hasher};

use crate::state::State;

impl State {
    /// The fingerprint a state is remembered by.
    pub fn fingerprint(&self) -> u64 {
        fingerprint(self)
    }
}

/// Sixty-four bits of a value. Two values of the same bits would be taken for one: at a hundred million states the odds
/// of that are below one in three thousand.
pub fn fingerprint(value: &impl Hash) -> u64 {
    let mut bytes = Bytes { all: [0; 512], len: 0 };
    value.hash(&mut bytes);
    bytes.finish()
}

/// Collects what is hashed, so that it is mixed eight bytes at a time.
struct Bytes {
    all: [u8; 512],
    len: usize,
}

impl Hasher for Bytes {
    fn finish(&self) -> u64 {
        let mut hash = 0x9E37_79B9_7F4A_7C15_u64 ^ (self.len as u64);
        for chunk in self.all[..self.len.next_multiple_of(16)].chunks_exact(16) {
            let (a, b) = chunk.split_at(8);
            let a = u64::from_le_bytes(a.try_into().expect("eight bytes")) ^ hash ^ 0xA076_1D64_78BD_642F;
            let b =
                u64::from_le_bytes(b.try_into().expect("eight bytes")) ^ hash.rotate_left(29) ^ 0xE703_7ED1_A0B4_28DB;
            let wide = u128::from(a) * u128::from(b);
            #[allow(clippy::cast_possible_truncation, reason = "the halves of a product")]
            let folded = (wide as u64) ^ ((wide >> 64) as u64);
            hash = folded.wrapping_add(hash.rotate_left(17));
        }
        hash
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.all[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    fn write_u8(&mut self, value: u8) {
        self.all[self.len] = value;
        self.len += 1;
    }

    #[inline]
    fn write_usize(&mut self, _: usize) {
        // Lengths of arrays, which are always the same.
    }

    #[inline]
    fn write_isize(&mut self, value: isize) {
        // Discriminants.
        self.write_u8(u8::try_from(value).expect("few variants"));
    }
}
