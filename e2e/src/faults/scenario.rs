//! The stories in which calls go wrong: what is there, what people and nodes do meanwhile, and how it ends.

use securityhotfix::api::Outcome;

/// Name of the hotfix every story is about.
pub const HOTFIX: &str = "fix";
/// Name of the second one, where there are two.
pub const LATER: &str = "later";
/// The Deployment, and the Service in front of it.
pub const WORKLOAD: &str = "web";

/// Something that happens beside the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// Somebody ends the attempt.
    Abort,
    /// Somebody deletes the hotfix.
    Delete,
    /// The owner deploys another image.
    Redeploy(&'static str),
    /// Every container of the candidate dies.
    KillGreen,
    /// Somebody asks for a second hotfix of the same workload.
    AskLater,
}

/// A story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The Services in front of the workload.
    pub services: &'static [&'static str],
    /// Candidates in which the scanner sees the advisory; in what runs it always does.
    pub vulnerable: &'static [&'static str],
    /// The test the analysis runs.
    pub analysis: &'static str,
    /// The test the verification runs.
    pub verification: &'static str,
    /// What happens, each right after the first write of that name is made.
    pub moves: &'static [(&'static str, Move)],
    /// How each hotfix ends; `None` for one that is gone.
    pub ends: &'static [(&'static str, Option<Outcome>)],
}

const HAPPY: Scenario = Scenario {
    name: "happy",
    services: &[WORKLOAD],
    vulnerable: &[],
    analysis: "passes",
    verification: "passes",
    moves: &[],
    ends: &[(HOTFIX, Some(Outcome::Remediated))],
};

/// All of them, the healthy one first.
pub const ALL: [Scenario; 10] = [
    HAPPY,
    Scenario { name: "two-services", services: &[WORKLOAD, "web-internal"], ..HAPPY },
    Scenario { name: "scan-fails", vulnerable: &["v2"], ends: &[(HOTFIX, Some(Outcome::Failed))], ..HAPPY },
    Scenario { name: "analysis-fails", analysis: "refuses", ends: &[(HOTFIX, Some(Outcome::Failed))], ..HAPPY },
    Scenario {
        name: "verification-fails",
        verification: "refuses",
        ends: &[(HOTFIX, Some(Outcome::RolledBack))],
        ..HAPPY
    },
    Scenario {
        name: "green-dies",
        moves: &[("record converged", Move::KillGreen)],
        ends: &[(HOTFIX, Some(Outcome::RolledBack))],
        ..HAPPY
    },
    Scenario {
        name: "aborted",
        moves: &[("switch web", Move::Abort)],
        ends: &[(HOTFIX, Some(Outcome::RolledBack))],
        ..HAPPY
    },
    Scenario { name: "deleted", moves: &[("switch web", Move::Delete)], ends: &[(HOTFIX, None)], ..HAPPY },
    Scenario { name: "redeployed", moves: &[("record staged", Move::Redeploy("v1b"))], ..HAPPY },
    Scenario {
        name: "second-waits",
        moves: &[("claim", Move::AskLater)],
        ends: &[(HOTFIX, Some(Outcome::Remediated)), (LATER, Some(Outcome::Remediated))],
        ..HAPPY
    },
];

/// The story of this name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    ALL.iter().find(|scenario| scenario.name == name)
}

impl Scenario {
    /// The image a hotfix asks for.
    pub fn candidate(hotfix: &str) -> &'static str {
        if hotfix == LATER { "v3" } else { "v2" }
    }

    /// Whether the candidate's pods die by themselves.
    pub fn candidate_dies(&self) -> bool {
        self.moves.iter().any(|(_, happens)| *happens == Move::KillGreen)
    }
}
