//! The worlds that are explored, one after the other: each is small, and has one kind of trouble in plenty.

use crate::config::{APART, Config, ORDER, env, fault};

/// One Service, one pod a side, faults of every kind; from the beginning.
const BASE: Config = Config {
    name: "core",
    faults: 1,
    moves: 1,
    small: (1, 0),
    deep: (2, 1),
    fault: fault::ALL,
    env: env::DELETE | env::ABORT | env::BAD_PROBE | env::UNREADY_GREEN | env::LATE,
    free: 0,
    services: 1,
    replicas: 1,
    tests: false,
    order: ORDER,
    lag: false,
    slow: false,
    from: |_| true,
};

/// All of them, with the budgets of `make explore`.
pub const ALL: &[Config] = &[
    BASE,
    Config {
        name: "gates",
        deep: (1, 1),
        tests: true,
        env: env::BAD_JOB
            | env::LOSE_JOB
            | env::REFUSE
            | env::DELETE
            | env::ABORT
            | env::RETRY
            | env::LATE
            | env::UNCLAIM
            | env::REDEPLOY,
        ..BASE
    },
    Config {
        name: "cutover",
        env: BASE.env | env::EVICT_GREEN | env::UNREADY_BLUE,
        from: |mile| mile.analyzed() == 1,
        ..BASE
    },
    Config {
        name: "services",
        services: 2,
        env: env::REVERT | env::STRIP | env::SELECT | env::DROP | env::DELETE | env::BAD_PROBE,
        from: |mile| mile.analyzed() == 1,
        ..BASE
    },
    Config {
        name: "pods",
        replicas: 2,
        small: (0, 1),
        env: env::UNREADY_GREEN
            | env::EVICT_GREEN
            | env::UNREADY_BLUE
            | env::BAD_PROBE
            | env::BARE
            | env::LATE
            | env::ABORT,
        from: |mile| mile.analyzed() == 1,
        ..BASE
    },
    Config {
        name: "slices",
        moves: 0,
        deep: (2, 0),
        env: env::BAD_PROBE | env::EVICT_GREEN | env::UNREADY_GREEN | env::ABORT | env::LATE,
        lag: true,
        slow: true,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
    Config {
        name: "reads",
        env: env::BAD_PROBE | env::EVICT_GREEN | env::DELETE,
        order: APART,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
    Config {
        name: "deletion",
        deep: (1, 1),
        env: env::DELETE | env::DELETE_FOREGROUND | env::TERMINATE | env::DELETE_GREEN,
        ..BASE
    },
    Config {
        name: "blue",
        deep: (1, 1),
        small: (0, 1),
        env: env::DELETE_BLUE
            | env::ZERO
            | env::BREAK
            | env::REDEPLOY
            | env::SCALE
            | env::RELEASE
            | env::BAD_PROBE
            | env::UNREADY_BLUE
            | env::EVICT_BLUE,
        from: |mile| mile.scanned() == 1,
        ..BASE
    },
    Config {
        name: "gitops",
        small: (0, 2),
        deep: (2, 1),
        env: env::REVERT | env::REVERT_IMAGE | env::REDEPLOY | env::STRIP | env::BAD_PROBE,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
    Config {
        name: "foldback",
        slow: true,
        faults: 0,
        moves: 1,
        small: (0, 1),
        deep: (0, 1),
        env: env::REVERT_IMAGE
            | env::REDEPLOY
            | env::UNREADY_GREEN
            | env::EVICT_GREEN
            | env::UNREADY_BLUE
            | env::BREAK
            | env::DELETE,
        from: |mile| mile.converged() == 1,
        ..BASE
    },
    Config {
        name: "folded",
        faults: 0,
        moves: 2,
        small: (0, 2),
        deep: (0, 2),
        env: env::REVERT_IMAGE | env::REDEPLOY | env::UNREADY_GREEN,
        from: |mile| mile.verified() == 1,
        ..BASE
    },
    Config {
        name: "two-hotfixes",
        faults: 0,
        moves: 2,
        small: (0, 1),
        deep: (0, 2),
        env: env::ASK | env::DELETE | env::ABORT | env::BAD_PROBE | env::UNCLAIM | env::STRIP,
        ..BASE
    },
    Config {
        name: "vanished",
        faults: 0,
        moves: 2,
        small: (0, 2),
        deep: (0, 3),
        env: env::VANISH
            | env::ASK
            | env::STRIP
            | env::UNREADY_BLUE
            | env::EVICT_GREEN
            | env::DELETE_GREEN
            | env::REDEPLOY
            | env::ABORT,
        from: |mile| mile.analyzed() == 1,
        ..BASE
    },
    Config {
        name: "left",
        moves: 2,
        small: (0, 2),
        deep: (1, 2),
        env: env::VANISH | env::ASK,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
    Config {
        name: "candidate",
        deep: (2, 1),
        env: env::DELETE_GREEN | env::ORPHAN | env::DRIFT | env::BARE | env::EVICT_GREEN | env::RETRY,
        from: |mile| mile.scanned() == 1,
        ..BASE
    },
    Config {
        name: "suspended",
        small: (0, 1),
        deep: (1, 1),
        env: env::SUSPEND | env::DELETE | env::ABORT | env::LATE,
        ..BASE
    },
    Config {
        name: "unguided",
        moves: 2,
        small: (0, 1),
        deep: (2, 2),
        env: env::UNGUIDE | env::BAD_PROBE | env::UNREADY_GREEN | env::DELETE | env::LATE,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
    Config {
        name: "kubelets",
        replicas: 2,
        small: (0, 1),
        deep: (1, 1),
        env: env::HANG | env::WRONG | env::EVICT_GREEN | env::ABORT | env::LATE,
        from: |mile| mile.analyzed() == 1,
        ..BASE
    },
    Config {
        name: "tool",
        moves: 0,
        small: (0, 0),
        deep: (1, 0),
        env: env::REVERT | env::REVERT_IMAGE,
        free: env::REVERT | env::REVERT_IMAGE,
        from: |mile| mile.analyzed() == 1,
        ..BASE
    },
    Config {
        name: "zombie",
        moves: 2,
        small: (1, 1),
        deep: (2, 2),
        fault: fault::LEAD | fault::DELAY,
        env: env::EVICT_GREEN | env::DELETE,
        order: APART,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
    Config {
        name: "late",
        faults: 2,
        moves: 1,
        small: (1, 1),
        deep: (2, 2),
        fault: fault::DELAY | fault::TWICE | fault::CRASH,
        env: env::DELETE | env::BAD_PROBE,
        from: |mile| mile.promoting() == 1,
        ..BASE
    },
];

/// Worlds in which nothing but mutants is looked for.
pub const FOR_MUTANTS: &[Config] = &[
    Config { name: "unclaimed", env: env::ASK | env::UNCLAIM, ..BASE },
    Config { name: "again", fault: fault::LEAD, env: env::ABORT | env::RETRY, ..BASE },
    Config { name: "bare", env: env::BARE | env::EVICT_GREEN | env::ABORT, from: |mile| mile.converged() == 1, ..BASE },
    Config { name: "two-each", services: 2, env: env::ASK, ..BASE },
    Config {
        name: "rolling",
        slow: true,
        env: env::REVERT_IMAGE | env::REDEPLOY | env::UNREADY_GREEN,
        from: |mile| mile.verified() == 1,
        ..BASE
    },
];

/// The world of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Config> {
    ALL.iter().chain(FOR_MUTANTS).find(|config| config.name == name)
}
