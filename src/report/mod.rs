//! Placeholder paragraph, replaced by the first commit of the module.
