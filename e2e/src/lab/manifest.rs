//! The YAML a person would write, with the few places filled in that differ.

/// The workload: a Deployment and a Service.
pub const WEB: &str = include_str!("../../manifests/web.yaml");
/// The checks an administrator offers.
pub const CHECKS: &str = include_str!("../../manifests/checks.yaml");
/// The policy of one namespace.
pub const POLICY: &str = include_str!("../../manifests/policy.yaml");
/// A hotfix.
pub const HOTFIX: &str = include_str!("../../manifests/hotfix.yaml");

/// Replaces each `${name}` by its value.
///
/// # Panics
/// When a place is left open: the template and its caller do not fit.
pub fn fill(template: &str, places: &[(&str, &str)]) -> String {
    let filled =
        places.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value));
    assert!(!filled.contains("${"), "a place is left open in\n{filled}");
    filled
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn places_are_filled_and_arguments_of_checks_are_left_alone() {
        assert_eq!(fill("name: ${name}, args: [$(IMAGE)]", &[("name", "web")]), "name: web, args: [$(IMAGE)]");
    }
}
