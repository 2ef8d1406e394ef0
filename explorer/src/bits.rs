//! Small packed values: everything a state holds is a few bits, so that tens of millions of states can be looked at.

/// Makes a type of named bit fields over an unsigned integer.
macro_rules! bits {
    ($(#[$meta:meta])* $name:ident($raw:ty) { $($get:ident, $set:ident: $at:literal, $len:literal, $doc:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $raw);

        #[allow(dead_code, clippy::cast_possible_truncation, clippy::cast_lossless, reason = "fields fit by their width")]
        impl $name {
            $(
                #[doc = $doc]
                #[inline]
                pub fn $get(self) -> u8 {
                    ((self.0 >> $at) & ((1 << $len) - 1)) as u8
                }

                #[doc = concat!("Sets: ", $doc)]
                #[inline]
                pub fn $set(&mut self, value: u8) {
                    assert!(value < (1 << $len), concat!(stringify!($name), ".", stringify!($get), " overflows"));
                    let mask: $raw = ((1 << $len) - 1) << $at;
                    self.0 = (self.0 & !mask) | (<$raw>::from(value) << $at);
                }
            )*
        }
    };
}

pub(crate) use bits;
