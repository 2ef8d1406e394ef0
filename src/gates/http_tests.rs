use super::*;

fn check() -> HttpCheck {
    serde_json::from_value(serde_json::json!({"path": "/healthz", "port": 8080})).unwrap()
}

fn pod(pod: &str, successes: i32, failures: i32) -> PodStreak<'_> {
    PodStreak { pod, successes, failures, unsettled: 0, last: "status 200" }
}

fn verdict(state: &CheckState) -> Option<Verdict> {
    match state {
        CheckState::Pending(_) => None,
        CheckState::Done(outcome) => Some(outcome.verdict),
    }
}

#[test]
fn every_pod_must_answer_well_often_enough() {
    assert_eq!(verdict(&judge(&check(), &[pod("a", 3, 0), pod("b", 7, 0)])), Some(Verdict::Pass));
    let CheckState::Pending(awaited) = judge(&check(), &[pod("a", 3, 0), pod("b", 2, 0)]) else {
        panic!("it is awaited")
    };
    assert_eq!(awaited, "1 of 2 pods answered :8080/healthz 3 times in a row; waiting for b (status 200).");
}

#[test]
fn what_passes_is_told_of_one_pod_and_of_more() {
    let told = |pods: &[PodStreak<'_>]| match judge(&check(), pods) {
        CheckState::Done(outcome) => outcome.message,
        CheckState::Pending(awaited) => awaited,
    };
    let rest = ":8080/healthz as wanted, 3 times in a row or more.";
    assert_eq!(told(&[pod("a", 3, 0)]), format!("The pod of the candidate answers {rest}"));
    assert_eq!(told(&[pod("a", 3, 0), pod("b", 4, 0)]), format!("All 2 pods of the candidate answer {rest}"));
}

#[test]
fn one_pod_that_fails_often_enough_fails_the_check() {
    assert_eq!(verdict(&judge(&check(), &[pod("a", 9, 0), pod("b", 0, 2)])), None);
    let CheckState::Done(outcome) = judge(&check(), &[pod("a", 9, 0), pod("b", 0, 3)]) else { panic!("it is settled") };
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(
        outcome.message,
        "Of 2 pods of the candidate, 1 did not answer :8080/healthz as wanted 3 times in a row: b (status 200)."
    );
}

#[test]
fn without_a_pod_there_is_nothing_to_pass() {
    assert_eq!(verdict(&judge(&check(), &[])), None);
}

#[test]
fn a_check_that_asks_for_nothing_still_wants_one_answer() {
    let careless = HttpCheck { successes: 0, failures: 0, ..check() };
    assert_eq!(verdict(&judge(&careless, &[pod("a", 0, 0)])), None);
    assert_eq!(verdict(&judge(&careless, &[pod("a", 1, 0)])), Some(Verdict::Pass));
    assert_eq!(verdict(&judge(&careless, &[pod("a", 0, 1)])), Some(Verdict::Fail));
}

#[test]
fn answers_are_counted_in_a_row() {
    let check = HttpCheck { statuses: vec![200, 204], body_contains: Some("ok".into()), ..check() };
    let good = Answer::Response { status: 204, body: b"all ok" };
    let mut streak = Streak::default().after(&check, &good).after(&check, &good);
    assert_eq!((streak.successes, streak.failures), (2, 0));
    for (answer, words) in [
        (Answer::Response { status: 500, body: b"ok" }, "status 500"),
        (Answer::Response { status: 302, body: b"ok" }, "status 302"),
        (Answer::Response { status: 200, body: b"secret" }, "status 200, without the text it must contain"),
        (Answer::TimedOut, "no answer in time"),
        (Answer::Unreachable, "no connection"),
    ] {
        let failures = streak.failures;
        streak = streak.after(&check, &answer);
        assert_eq!((streak.successes, streak.failures, &*streak.last), (0, failures + 1, words));
    }
    assert_eq!(streak.after(&check, &good).failures, 0);
}

#[test]
fn a_pod_that_answers_well_and_badly_in_turns_fails_in_the_end() {
    let (good, bad) = (Answer::Response { status: 200, body: b"" }, Answer::Response { status: 500, body: b"" });
    let mut streak = Streak::default();
    for nth in 1..=unsettled_max(&check()) {
        let pods = [PodStreak { unsettled: streak.unsettled, ..pod("a", streak.successes, streak.failures) }];
        assert_eq!(verdict(&judge(&check(), &pods)), None, "after {} answers", nth - 1);
        streak = streak.after(&check(), if nth % 3 == 0 { &bad } else { &good });
    }
    let CheckState::Done(outcome) = judge(&check(), &[PodStreak { unsettled: streak.unsettled, ..pod("a", 0, 1) }])
    else {
        panic!("it is settled")
    };
    assert_eq!(outcome.verdict, Verdict::Fail);
    assert_eq!(
        outcome.message,
        "Of 1 pod of the candidate, 1 answered :8080/healthz now well and now badly, and in 60 answers never well 3 times in a row: a (status 200)."
    );
    let settled = (0..3).fold(streak, |streak, _| streak.after(&check(), &good));
    assert_eq!((settled.successes, settled.unsettled), (3, 0), "one that comes to rest begins anew");
}

#[test]
fn the_path_takes_the_policys_arguments() {
    let args = BTreeMap::from([("path".to_owned(), "/healthz".to_owned()), ("n".to_owned(), "7".to_owned())]);
    let with = |text: &str| path(&HttpCheck { path: text.into(), ..check() }, &args);
    assert_eq!(with("/plain").unwrap(), "/plain");
    assert_eq!(with("$(ARG_PATH)?n=$(ARG_N)").unwrap(), "/healthz?n=7");
    for (odd, why) in [
        ("$(ARG_OTHER)", "needs the argument OTHER"),
        ("/$(ARG_PATH", "without its )"),
        ("$(ARG_N)", "begins with /"),
        ("/a b", "no blanks"),
        ("/a\r\nHost: b", "no blanks"),
    ] {
        let error = with(odd).unwrap_err();
        assert!(error.contains(why), "{odd}: {error}");
    }
}
