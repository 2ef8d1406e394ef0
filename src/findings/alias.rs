//! One vulnerability under its several names.
//!
//! One scanner says `CVE-2024-22195`, the next `GHSA-h5c8-rqwp-cp95`, a third `PYSEC-2024-…`: two names mean the same
//! vulnerability when their alias sets meet. This module only compares names; it never looks one up.

use super::{MAX_ALIASES, ReportError, bounded, text};

/// The names of one vulnerability, distinct without regard to ASCII case, in the order they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasSet(Vec<String>);

impl AliasSet {
    /// A set of the given names. Blank names are left out.
    ///
    /// Fails with [`ReportError::TooMany`] beyond [`MAX_ALIASES`]: a name that was cut off could be the one that is
    /// looked for. A name too long to be one ([`text::MAX_NAME`]) is cut, and then equals no advisory's.
    pub fn new<I>(names: I) -> Result<Self, ReportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        let mut set = Self::default();
        set.extend(names)?;
        Ok(set)
    }

    /// Adds names, under the same bounds as [`AliasSet::new`].
    pub fn extend<I>(&mut self, names: I) -> Result<(), ReportError>
    where
        I: IntoIterator,
        I::Item: AsRef<str>,
    {
        for name in names {
            let name = text::clean(name.as_ref(), text::MAX_NAME);
            if !name.is_empty() && !self.contains(&name) {
                bounded(self.0.len() + 1, MAX_ALIASES, "names of one vulnerability")?;
                self.0.push(name);
            }
        }
        Ok(())
    }

    /// Whether the name is one of these.
    pub fn contains(&self, name: &str) -> bool {
        self.0.iter().any(|known| same_advisory(known, name))
    }

    /// Whether both sets name one vulnerability.
    pub fn intersects(&self, other: &Self) -> bool {
        self.0.iter().any(|name| other.contains(name))
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The name to show when one has to do: a CVE where there is one, since that is what people search for.
    pub fn headline(&self) -> &str {
        let cve = self.iter().find(|name| name.get(..4).is_some_and(|prefix| prefix.eq_ignore_ascii_case("CVE-")));
        cve.or_else(|| self.iter().next()).unwrap_or("an unnamed vulnerability")
    }

    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether two names are the same identifier: they differ in ASCII case at most, as every data base treats them.
pub fn same_advisory(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_meet_in_any_name_whatever_its_case() {
        let wanted = AliasSet::new(["CVE-2024-22195", "GHSA-h5c8-rqwp-cp95"]).unwrap();
        let found = AliasSet::new(["ghsa-H5C8-rqwp-cp95"]).unwrap();
        assert!(wanted.intersects(&found));
        assert!(!wanted.intersects(&AliasSet::new(["CVE-2024-221950"]).unwrap()));
    }

    #[test]
    fn a_cve_is_the_headline() {
        let names = AliasSet::new(["PYSEC-2024-1", "cve-2024-22195"]).unwrap();
        assert_eq!(names.headline(), "cve-2024-22195");
        assert_eq!(AliasSet::default().headline(), "an unnamed vulnerability");
    }

    #[test]
    fn too_many_names_are_refused_and_repetitions_do_not_count() {
        let names: Vec<String> = (0..=MAX_ALIASES).map(|n| format!("CVE-2024-{n}")).collect();
        assert!(matches!(AliasSet::new(&names), Err(ReportError::TooMany { .. })));
        assert!(AliasSet::new(std::iter::repeat_n("CVE-2024-1", 1_000)).is_ok());
    }
}
