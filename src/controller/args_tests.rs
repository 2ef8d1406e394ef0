//! What a person can get wrong on the command line, and what they are told.

use super::*;

fn check(extra: &[&str]) -> Result<Config, String> {
    let image =
        ["--image=registry.example/op:1"].into_iter().filter(|_| !extra.iter().any(|e| e.starts_with("--image")));
    let line = ["hotfix-operator", "run", "--checks-namespace=checks"].into_iter().chain(image);
    let cli = Cli::try_parse_from(line.chain(extra.iter().copied())).map_err(|error| error.to_string())?;
    let Command::Run(args) = cli.command else { panic!("not run: {cli:?}") };
    args.check().map_err(|error| error.to_string())
}

#[test]
fn the_command_line_is_well_formed() {
    use clap::CommandFactory;
    Cli::command().debug_assert();
}

#[test]
fn without_a_namespace_everything_is_watched() {
    assert_eq!(check(&[]).unwrap().watch, Watch::Everywhere);
    assert_eq!(check(&["--watch-namespace="]).unwrap().watch, Watch::Everywhere);
    assert_eq!(check(&["--watch-namespace=shop"]).unwrap().watch, Watch::Namespace("shop".into()));
}

#[test]
fn a_name_no_namespace_can_have_is_refused() {
    for odd in ["Shop", "a/b", "-a", "a.b", &"a".repeat(64)] {
        let said = check(&[&format!("--watch-namespace={odd}")]).err().unwrap();
        assert!(said.contains("--watch-namespace") && said.contains("give a name"), "{said}");
    }
}

#[test]
fn checks_may_not_share_the_watched_namespace() {
    let said = check(&["--watch-namespace=checks"]).err().unwrap();
    assert!(said.contains("a namespace of their own"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    for flag in ["--registries", "--registry-credentials"] {
        let said = check(&[&format!("{flag}=/nowhere/file.json")]).err().unwrap();
        assert!(said.contains("/nowhere/file.json") && said.contains("check the file"), "{said}");
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let said = check(&["--image=not an image"]).err().unwrap();
    assert!(said.contains("give the image this operator runs from"), "{said}");
}

#[test]
fn the_api_server_s_time_out_is_a_minute_unless_it_is_told() {
    let timeout = |extra: &[&str]| check(extra).map(|config| config.settings.api_request_max.as_secs());
    assert_eq!(timeout(&[]), Ok(60));
    assert_eq!(timeout(&["--api-request-timeout=5"]), Ok(5));
    for odd in ["4", "601", "60s", "-10", ""] {
        let said = timeout(&[&format!("--api-request-timeout={odd}")]).unwrap_err();
        assert!(said.contains("--api-request-timeout <SECONDS>"), "{said}");
    }
}

#[test]
fn a_check_keeps_its_own_dashes() {
    let cli = Cli::try_parse_from(["hotfix-operator", "run-check", "--", "trivy", "--format", "json"]).unwrap();
    let Command::RunCheck { command } = cli.command else { panic!("{cli:?}") };
    assert_eq!(command, ["trivy", "--format", "json"]);
}

#[test]
fn without_an_election_there_is_no_lease() {
    assert_eq!(check(&["--lease-namespace=op"]).unwrap().lease, None);
    assert_eq!(check(&["--leader-election=false", "--lease-namespace=op"]).unwrap().lease, None);
}

#[test]
fn the_lease_is_called_after_what_is_watched_unless_it_has_a_name() {
    let lease = |extra: &[&str]| {
        let place = check(&[&["--leader-election", "--lease-namespace=op"], extra].concat()).unwrap().lease.unwrap();
        format!("{}/{}", place.namespace, place.name)
    };
    assert_eq!(lease(&[]), "op/hotfix-operator");
    assert_eq!(lease(&["--watch-namespace=shop"]), "op/hotfix-operator-shop");
    assert_eq!(lease(&["--watch-namespace=shop", "--lease-name=mine.1"]), "op/mine.1");
}

#[test]
fn an_election_without_a_place_or_in_the_wrong_one_is_refused() {
    let said = check(&["--leader-election", "--lease-namespace="]).err().unwrap();
    assert!(said.contains("give --lease-namespace"), "{said}");
    let said = check(&["--leader-election", "--lease-namespace=shop", "--watch-namespace=shop"]).err().unwrap();
    assert!(said.contains("a namespace of its own"), "{said}");
    for odd in ["Mine", "a/b", "-a", "a.", &"a".repeat(254)] {
        let said = check(&["--leader-election", "--lease-namespace=op", &format!("--lease-name={odd}")]).err().unwrap();
        assert!(said.contains("no Lease can be called"), "{said}");
    }
}
