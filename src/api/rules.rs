//! What the API server refuses, each with a sentence that says what to write and an example.
//!
//! A pattern of OpenAPI, once broken, shows nothing but itself. A rule of CEL has words of its own, so whatever has a grammar
//! is held to it here. The API server adds up what every rule may cost at most from the bounds around it; without those it
//! refuses the definition.
//!
//! None of this keeps anything safe: whoever reads these fields judges them again.

use kube::core::{Message, Rule};

/// A duration as Go writes it, without the signs and the units nobody types. The digits are bounded so that no sum
/// exceeds what the API server can compare, 292 years.
const DURATION: &str = "^([0-9]{1,4}([.][0-9]{1,9})?h|[0-9]{1,6}([.][0-9]{1,9})?(m|s|ms))+$";

/// A part of a host's name.
const LABEL: &str = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?";

/// 1 to 65535.
const PORT: &str = "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";

/// A part of a repository's path, as registries and container runtimes take it.
const PART: &str = "[a-z0-9]+(([.]|_|__|-+)[a-z0-9]+)*";

/// Names of most objects.
const SUBDOMAIN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// An argument of the policy in the path of a probe.
const ARGUMENT: &str = "[$][(]ARG_[A-Z][A-Z0-9_]*[)]";

/// A host that nobody can take for the first part of a path: it has a dot or a port.
fn host() -> String {
    format!("({LABEL}([.]{LABEL})*:{PORT}|{LABEL}([.]{LABEL})+)")
}

fn matches(pattern: &str, message: &str) -> Rule {
    Rule::new(format!("self.matches('{pattern}')")).message(message)
}

/// Every one of a list of texts; the message begins with the first that does not match.
fn all_match(pattern: &str, message: &str) -> Rule {
    let first = format!("self.filter(x, !x.matches('{pattern}'))[0]");
    Rule::new(format!("self.all(x, x.matches('{pattern}'))"))
        .message(Message::Expression(format!("{first} + ': {message}'")))
}

/// A duration from `min` to `max`, both in Go's grammar; `like` are examples between them.
pub(super) fn duration(like: &str, min: &str, max: &str) -> Rule {
    let bounds = format!("duration(self) >= duration('{min}') && duration(self) <= duration('{max}')");
    Rule::new(format!("self.matches('{DURATION}') && {bounds}"))
        .message(format!("write a duration such as {like}, between {min} and {max}").as_str())
}

/// An image reference.
pub(super) fn image() -> Rule {
    let pattern = format!(
        "^({host}/)?{PART}(/{PART})*(:[a-zA-Z0-9_][a-zA-Z0-9._-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?$",
        host = host(),
    );
    matches(
        &pattern,
        "write an image as registry.example/shop/web:1.2 or registry.example/shop/web@sha256:<64 hex digits>: no https://, no \
         blanks, and no capitals behind the host",
    )
}

/// The entries of an allow-list.
pub(super) fn repositories() -> Rule {
    let host = host();
    let pattern = format!("^([*]|({host}/)?{PART}(/{PART})*|({host}|{PART})(/{PART})*/([a-z0-9][a-z0-9._-]*)?[*])$");
    all_match(
        &pattern,
        "write a repository without tag and digest, such as registry.example/shop/web, or one star at the end and behind a \
         slash, such as registry.example/shop/*",
    )
}

/// Entries of an allow-list that are a registry alone: as a repository it would be one of another registry's, which no image
/// is called, so that such an entry allows nothing.
pub(super) fn no_registry_alone() -> Rule {
    let alone = "x.matches('^(([a-zA-Z0-9-]+[.])+[a-zA-Z0-9-]+(:[0-9]+)?|localhost)$')";
    let first = format!("self.filter(x, {alone})[0]");
    Rule::new(format!("!self.exists(x, {alone})")).message(Message::Expression(format!(
        "{first} + ' is a registry and no repository: write ' + {first} + '/* for all it has'"
    )))
}

/// The name of an object of this kind.
pub(super) fn name(kind: &str, like: &str) -> Rule {
    matches(SUBDOMAIN, &name_of(kind, like))
}

/// The same of a list of names.
pub(super) fn names(kind: &str, like: &str) -> Rule {
    all_match(SUBDOMAIN, &name_of(kind, like))
}

fn name_of(kind: &str, like: &str) -> String {
    format!("write the name of a {kind}, such as {like}: lower-case letters, digits, dashes, and dots between them")
}

/// The name of a container or a volume.
pub(super) fn label(kind: &str, like: &str) -> Rule {
    let message =
        format!("write the name of a {kind}, such as {like}: lower-case letters, digits, and dashes between them");
    matches("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", &message)
}

/// The names of an advisory.
pub(super) fn advisories() -> Rule {
    all_match(
        "^[A-Za-z0-9][A-Za-z0-9._:-]*$",
        "write the id of an advisory, such as CVE-2024-22195 or GHSA-h5c8-rqwp-cp95",
    )
}

/// A CVSS vector.
pub(super) fn cvss() -> Rule {
    let metric = "[A-Za-z]{1,3}:[A-Za-z]{1,10}";
    matches(
        &format!("^(CVSS:[34][.][01]/)?{metric}(/{metric})*$"),
        "write a CVSS vector, such as CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N",
    )
}

/// A text that says something.
pub(super) fn said(message: &str) -> Rule {
    matches("[^[:space:]]", message)
}

/// Path and query of a probe.
pub(super) fn path() -> Rule {
    matches(
        &format!("^(/|{ARGUMENT})([!\"%-~]|{ARGUMENT})*$"),
        "write a path, such as /healthz or /status?full=1, with arguments of the policy as $(ARG_PATH): no host, no blanks, no #",
    )
}

/// Where a volume is mounted.
pub(super) fn mount_path() -> Rule {
    Rule::new("self.matches('^(/[^/:[:cntrl:]]+)+$') && !self.split('/').exists(part, part in ['.', '..'])")
        .message("write an absolute path, such as /cache: no : and no . or .. in it, no / at its end")
}

/// Where no volume can be mounted.
pub(super) fn mount_elsewhere() -> Rule {
    Rule::new("!['/runner', '/proc'].exists(taken, self == taken || self.startsWith(taken + '/'))").message(
        "/runner is taken by the operator's own runner, and /proc by the system: mount it elsewhere, such as /cache",
    )
}

/// Quantities by the name of a resource.
pub(super) fn quantities() -> Rule {
    Rule::new("self.all(name, isQuantity(self[name]) && quantity(self[name]).compareTo(quantity('0')) >= 0)")
        .message("write quantities as text, such as {cpu: \"1\", memory: 1Gi} or {cpu: 50m, memory: 64Mi}")
}

/// Names of resources.
pub(super) fn resource_names() -> Rule {
    Rule::new(
        "self.all(name, name in ['cpu', 'memory', 'ephemeral-storage'] || \
         name.matches('^[a-z0-9.-]{1,253}/[A-Za-z0-9._-]{1,63}$'))",
    )
    .message("resources are cpu, memory, ephemeral-storage, or have a domain, such as vendor.example/device")
}

/// Requests within their limits, also where one of the two is not written.
pub(super) fn requests_within_limits() -> Rule {
    let effective = |field: &str, default: &str| {
        format!("(has(self.{field}) && self.{field}.size() > 0 ? self.{field} : {default})")
    };
    let limits = effective("limits", "{'cpu': '1', 'memory': '1Gi'}");
    let requests = effective("requests", "{'cpu': '50m', 'memory': '64Mi'}");
    Rule::new(format!(
        "{requests}.all(name, !(name in {limits}) || !isQuantity({requests}[name]) || !isQuantity({limits}[name]) || \
         quantity({requests}[name]).compareTo(quantity({limits}[name])) <= 0)"
    ))
    .message(
        "a request is larger than its limit (where they are not written, requests are 50m CPU and 64Mi, limits 1 CPU and \
         1Gi): write both, such as limits: {cpu: \"2\", memory: 2Gi}",
    )
}

/// A size of more than nothing.
pub(super) fn size() -> Rule {
    Rule::new("isQuantity(self) && quantity(self).compareTo(quantity('0')) > 0")
        .message("write a size such as 512Mi or 4Gi")
}

/// The program of a check.
pub(super) fn program() -> Rule {
    Rule::new("self.size() == 0 || self[0] != ''")
        .message("the first word is the program, such as trivy: it cannot be empty")
}

/// The name of an environment variable of a check.
pub(super) fn variable() -> Rule {
    matches(
        "^[A-Za-z_][A-Za-z0-9_]*$",
        "write the name of a variable, such as SCAN_LEVEL: letters, digits and underscores",
    )
}

/// Which environment variables are not the administrator's.
pub(super) fn variable_is_free() -> Rule {
    Rule::new(
        "!(self in ['IMAGE', 'CANDIDATE_IMAGE', 'BASELINE_IMAGE', 'TARGET_ADDRESS', 'ADVISORY_IDS', 'HOTFIX_NAME', \
         'HOTFIX_NAMESPACE']) && !self.startsWith('ARG_')",
    )
    .message("the operator itself sets IMAGE, ADVISORY_IDS, ARG_... and so on: take another name, and refer to theirs as $(IMAGE)")
}

/// No two items of a list with the same `field`, or no two same items without one.
pub(super) fn distinct(field: Option<&str>, message: &str) -> Rule {
    let of = |item: &str| field.map_or_else(|| item.to_owned(), |field| format!("{item}.{field}"));
    Rule::new(format!("self.all(a, self.exists_one(b, {} == {}))", of("a"), of("b"))).message(message)
}

/// Names of a policy's arguments.
pub(super) fn argument_names() -> Rule {
    Rule::new("self.all(name, name.matches('^[a-zA-Z][a-zA-Z0-9_]{0,62}$'))").message(
        "argument names, such as path, have letters, digits and underscores only, at most 63; values at most 1024 characters",
    )
}

/// Arguments that would be the same environment variable.
pub(super) fn arguments_differ() -> Rule {
    Rule::new("self.all(a, self.exists_one(b, a.upperAscii() == b.upperAscii()))")
        .message("two arguments differ by capitals only, and both would be the variable ARG_<NAME>: rename one")
}
