//! Reading JSON that others wrote: tolerant of what is absent or new, strict about what is there.

use serde::{Deserialize, Deserializer, de::DeserializeOwned};

use super::ReportError;

/// Reads one whole document. Trailing bytes, wrong types and repeated fields are errors; so are bytes that are no text,
/// also in fields nobody reads, and nesting beyond 128 levels, serde_json's own bound.
pub(super) fn read<T: DeserializeOwned>(format: &'static str, report: &[u8]) -> Result<T, ReportError> {
    let text = str::from_utf8(report).map_err(|error| ReportError::malformed(format, &error.to_string()))?;
    serde_json::from_str(text).map_err(|error| ReportError::malformed(format, &error.to_string()))
}

/// For fields that Go leaves out or writes as `null` when they are empty.
pub(super) fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
