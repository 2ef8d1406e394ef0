//! The demonstration application as a program; `hotfix_e2e::app` is the whole of it.

use std::{error::Error, fs, process::ExitCode, time::Duration};

use clap::Parser;
use hotfix_e2e::app::{
    self, End, Settings,
    faults::{Fault, Scheduled},
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    time,
};

/// A small web server that answers with its version, drains when it is told to stop, and fails when it is told to.
#[derive(Debug, Parser)]
struct Arguments {
    /// The version it answers with.
    #[arg(env = "VERSION")]
    version: String,
    /// The port it listens on.
    #[arg(long, env = "PORT", default_value_t = app::PORT)]
    port: u16,
    /// How it fails: NAME from the start, or NAME@SECONDS after its first request on /; separated by commas.
    /// Names: die, deaf, hang, sick, deep, unready.
    #[arg(long, env = "FAULT", default_value = "")]
    fault: String,
    /// Short for the fault deep@SECONDS.
    #[arg(long, env = "DEEP_FAILS_AFTER")]
    deep_fails_after: Option<u64>,
    /// Seconds it waits before it listens.
    #[arg(long, env = "SLOW_START", default_value_t = 0)]
    slow_start: u64,
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("web: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let mut settings = Settings::healthy(&arguments.version, host.trim());
    settings.faults = Scheduled::list(&arguments.fault)?;
    let deep = arguments.deep_fails_after.map(Duration::from_secs);
    settings.faults.extend(deep.map(|delay| Scheduled::after_traffic(Fault::Deep, delay)));

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    };
    let mut stop = std::pin::pin!(stop);
    tokio::select! {
        () = &mut stop => return Ok(ExitCode::SUCCESS),
        () = time::sleep(Duration::from_secs(arguments.slow_start)) => {}
    }

    let listener = TcpListener::bind(("0.0.0.0", arguments.port)).await?;
    println!("{} listens on {}", settings.version, listener.local_addr()?);
    let end = app::serve(listener, settings, stop).await?;
    println!("{end:?}");
    Ok(match end {
        End::Drained => ExitCode::SUCCESS,
        End::CutOff => ExitCode::FAILURE,
        // What a kill leaves.
        End::Died => ExitCode::from(137),
    })
}
