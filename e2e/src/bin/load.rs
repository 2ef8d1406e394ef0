//! The load generator as a program: clients here, lines of JSON on standard output.

use std::{
    error::Error,
    io::{self, Write},
    net::SocketAddr,
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::Parser;
use hotfix_e2e::load::{
    Line,
    generator::{self, Plan, PlanError},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Asks an address at a bounded rate and writes down every answer.
#[derive(Debug, Parser)]
struct Arguments {
    /// The address, IP:PORT.
    address: SocketAddr,
    /// The Host header.
    #[arg(long, default_value = "web")]
    host: String,
    /// The path.
    #[arg(long, default_value = "/")]
    path: String,
    /// Clients that open a connection for each request.
    #[arg(long, default_value_t = 8)]
    new: u16,
    /// Clients that keep their connection.
    #[arg(long, default_value_t = 8)]
    keep_alive: u16,
    /// Requests per second, of all clients together.
    #[arg(long, default_value_t = 200)]
    rate: u32,
    /// How long.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Stop when standard input ends: with the process that started this one.
    #[arg(long)]
    stop_with_stdin: bool,
}

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error("cannot write: {0}")]
    Write(#[from] io::Error),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let plan = Plan {
        address: arguments.address,
        host: arguments.host,
        path: arguments.path,
        new_clients: arguments.new,
        keep_alive_clients: arguments.keep_alive,
        rate: arguments.rate,
        duration: Duration::from_secs(arguments.seconds),
    };
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stdin_ends(), if arguments.stop_with_stdin => {}
        }
    };
    let mut out = io::stdout().lock();
    generator::run(plan, stop, |line: Line| {
        serde_json::to_writer(&mut out, &line).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
        out.flush()?;
        Ok::<_, Failed>(())
    })
    .await?;
    Ok(())
}

/// Comes back when standard input has ended, whatever ended it. A thread of its own reads it, since a read cannot be
/// taken back and must not keep the program from ending.
async fn stdin_ends() {
    let (ended, end) = oneshot::channel::<()>();
    thread::spawn(move || {
        let _ended = ended;
        io::copy(&mut io::stdin(), &mut io::sink())
    });
    let _ = end.await;
}
