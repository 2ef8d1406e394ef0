//! x
use hotfix_explorer::intern::Intern;
use hotfix_explorer::mutants::{self, NONE};
use hotfix_explorer::search::{explore, Limits};
use hotfix_explorer::{laws, witness, worlds};

fn main() {
    let only = std::env::args().nth(1).unwrap_or_default();
    let max: u64 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(3_000_000);
    if only == "mutants" {
        let only = std::env::args().nth(3).unwrap_or_default();
        let mut broken = std::collections::BTreeSet::new();
        for mutant in mutants::ALL.iter().filter(|m| m.name.contains(&only)) {
            let config = mutant.config(worlds::ALL);
            let intern = Intern::default();
            let t = std::time::Instant::now();
            let Ok(o) = std::panic::catch_unwind(|| explore(&config, mutant, &intern, Limits { states: max, until: Some(mutant.breaks), loud: false })) else { println!("PANIC {}", mutant.name); continue };
            let laws: Vec<_> = o.findings.iter().map(|f| f.law).collect();
            broken.extend(laws.iter().copied());
            println!("{} {} [{}] states {} {:?} {:?} complete {}", if laws.contains(&mutant.breaks) { "killed  " } else { "SURVIVED" }, mutant.name, mutant.breaks, o.states, laws, t.elapsed(), o.complete);
        }
        for name in laws::ALL.iter().map(|l| l.0).chain(securityhotfix::plan::invariants::ALL.iter().map(|i| i.0)) {
            if !mutants::broken_by_some().contains(&name) { println!("law {name} has no mutant (seen: {})", broken.contains(name)); }
        }
        return;
    }
    let mut seen = 0;
    for config in worlds::ALL.iter().filter(|c| only.is_empty() || only == "all" || c.name == only) {
        let mut config = *config;
        if let Some(f) = std::env::args().nth(3) { config.faults = f.parse().unwrap(); }
        if let Some(f) = std::env::args().nth(4) { config.moves = f.parse().unwrap(); }
        let intern = Intern::default();
        let t = std::time::Instant::now();
        let name = config.name;
        let Ok(o) = std::panic::catch_unwind(|| explore(&config, &NONE, &intern, Limits { states: max, until: None, loud: std::env::var("LOUD").is_ok() })) else { println!("{name} PANIC"); continue };
        println!("== {name} {}/{}: states {} transitions {} depth {} longest {} pictures {} complete {} statuses {} {:?}", config.faults, config.moves, o.states, o.transitions, o.depth, o.longest, o.pictures, o.complete, intern.statuses(), t.elapsed());
        for f in &o.findings {
            let words: Vec<String> = f.trace.iter().map(|m| m.to_string()).collect();
            let shared = std::sync::Mutex::default();
            let mut memory = hotfix_explorer::decided::Memory::new(&shared, &intern, &NONE);
            let mut told = hotfix_explorer::story::tell(&config, &words, &mut memory);
            if told.broken.is_empty() { told.go_on(&config, &mut memory); }
            println!("{}", told.text.lines().rev().take(std::env::var("LINES").ok().and_then(|n| n.parse().ok()).unwrap_or(60)).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"));
            println!("{} x{}: {}\n   {}", f.law, f.times, f.what, words.join(" "));
        }
        seen |= o.seen;
    }
    for (i, name) in witness::ALL.iter().enumerate().filter(|(i, _)| seen >> i & 1 == 0) { println!("unseen {i} {name}"); }
}
