//! The binary that libFuzzer drives, `make fuzz`; the variable `TARGET` says at what.
//!
//! Built without the fuzzer it plays files, to look into one that was found: `cargo run -p hotfix-fuzz -- TARGET FILE...`

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
mod fuzzer {
    use std::sync::LazyLock;

    static PLAY: LazyLock<fn(&[u8])> = LazyLock::new(|| {
        let name = std::env::var("TARGET").expect("TARGET says which target");
        hotfix_fuzz::target(&name).expect("there is a target of this name").play
    });

    libfuzzer_sys::fuzz_target!(init: LazyLock::force(&PLAY), |bytes: &[u8]| PLAY(bytes));
}

#[cfg(not(fuzzing))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let target = args.next().and_then(|name| hotfix_fuzz::target(&name)).ok_or("which target, and which files?")?;
    for file in args {
        println!("{}: {file}", target.name);
        (target.play)(&std::fs::read(&file)?);
    }
    Ok(())
}
