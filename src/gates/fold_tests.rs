use super::*;
use crate::gates::CheckOutcome;

fn done(verdict: Verdict) -> CheckState {
    CheckState::Done(CheckOutcome::new(verdict, &format!("{verdict:?}."), Vec::new()))
}

fn folded(gate: Gate, states: &[CheckState]) -> GateState {
    let names = ["one", "two", "three", "four", "five"];
    let checks: Vec<Named<'_>> = names.into_iter().zip(states).map(|(check, state)| Named { check, state }).collect();
    fold(gate, &checks)
}

fn verdict(states: &[CheckState]) -> Option<Verdict> {
    match folded(Gate::Analyze, states) {
        GateState::Pending(_) => None,
        GateState::Settled { verdict, .. } => Some(verdict),
    }
}

#[test]
fn the_worst_check_speaks_for_the_gate_in_any_order() {
    let pending = || CheckState::Pending("Running.".into());
    let (pass, fail, open) = (|| done(Verdict::Pass), || done(Verdict::Fail), || done(Verdict::Inconclusive));
    for (states, expected) in [
        (vec![pass(), pass()], Some(Verdict::Pass)),
        (vec![pass(), pending()], None),
        (vec![pass(), open(), pending()], Some(Verdict::Inconclusive)),
        (vec![open(), pending(), fail(), pass()], Some(Verdict::Fail)),
        (vec![pending()], None),
    ] {
        let mut turned = states.clone();
        turned.reverse();
        assert_eq!(verdict(&states), expected, "{states:?}");
        assert_eq!(verdict(&turned), expected, "{turned:?}");
    }
}

#[test]
fn a_gate_without_checks_passes_but_the_scan_does_not() {
    assert_eq!(verdict(&[]), Some(Verdict::Pass));
    let GateState::Settled { verdict, .. } = folded(Gate::Scan, &[]) else { panic!("it is settled") };
    assert_eq!(verdict, Verdict::Inconclusive);
}

#[test]
fn the_message_names_the_checks_that_decide() {
    let states = [done(Verdict::Pass), done(Verdict::Fail)];
    let GateState::Settled { message, .. } = folded(Gate::Verify, &states) else { panic!("it is settled") };
    assert_eq!(message, "Check two: Fail.");
    let states = vec![done(Verdict::Fail); 4];
    let GateState::Settled { message, .. } = folded(Gate::Verify, &states) else { panic!("it is settled") };
    assert_eq!(message, "Check one: Fail. Check two: Fail. Check three: Fail. And 1 more.");
    let states = vec![done(Verdict::Pass); 5];
    let GateState::Settled { message, .. } = folded(Gate::Verify, &states) else { panic!("it is settled") };
    assert_eq!(message, "All 5 checks passed: one, two, three and 2 more.");
    let states = [CheckState::Pending("Running.".into())];
    assert_eq!(folded(Gate::Verify, &states), GateState::Pending("Check one: Running.".into()));
}
