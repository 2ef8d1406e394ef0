//! Packs one of the project's images without a container engine, and pushes it if told where to.

use std::{
    error::Error,
    path::PathBuf,
    process::{Command, ExitCode},
};

use clap::{Parser, Subcommand};
use hotfix_e2e::{
    app::faults::Scheduled,
    images::{Transport, catalogue, push},
};

/// Packs an image as an OCI image layout and prints its digest.
#[derive(Debug, Parser)]
struct Arguments {
    /// The folder the layout is written to.
    #[arg(long)]
    into: PathBuf,
    /// Push it as HOST:PORT/NAME:TAG, and print the reference by digest.
    #[arg(long)]
    push: Option<String>,
    /// Speak plain HTTP to the registry.
    #[arg(long)]
    plain: bool,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// The operator.
    Operator {
        /// Its static binary.
        program: PathBuf,
    },
    /// The demonstration application.
    Web {
        /// Its static binary.
        program: PathBuf,
        /// What it answers with.
        version: String,
        /// With the patched package.
        #[arg(long)]
        patched: bool,
        /// How it fails, as in the environment variable FAULT.
        #[arg(long, default_value = "")]
        fault: String,
    },
    /// The programs of check Jobs.
    Check {
        /// The static binary.
        program: PathBuf,
    },
    /// The load generator.
    Load {
        /// Its static binary.
        program: PathBuf,
    },
    /// Trivy with a data base.
    Trivy {
        /// Its static binary.
        program: PathBuf,
        /// The folder with trivy.db and metadata.json.
        database: PathBuf,
    },
    /// osv-scanner with advisories.
    OsvScanner {
        /// Its static binary.
        program: PathBuf,
        /// The static binary that fetches images for it.
        crane: PathBuf,
        /// A static shell, such as busybox.
        shell: PathBuf,
        /// The folder with an archive of OSV records for each ecosystem.
        database: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pack: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let Arguments { into, push: to, plain, what } = arguments;
    let packed = match what {
        What::Operator { program } => catalogue::operator(&program, &into),
        What::Web { program, version, patched, fault } => {
            let web = if patched { catalogue::Web::patched(&version) } else { catalogue::Web::vulnerable(&version) };
            Scheduled::list(&fault)?.into_iter().fold(web, catalogue::Web::fault).pack(&program, &into)
        }
        What::Check { program } => catalogue::check(&program, &into),
        What::Load { program } => catalogue::load(&program, &into),
        What::Trivy { program, database } => catalogue::trivy(&program, &database, &into),
        What::OsvScanner { program, crane, shell, database } => {
            catalogue::osv_scanner(&program, &crane, &shell, &database, &into)
        }
    }?;
    let Some(to) = to else {
        println!("{}", packed.digest);
        return Ok(());
    };
    let (repository, tag) = to.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).ok_or("a tag is missing")?;
    let transport = if plain { Transport::Plain } else { Transport::Tls };
    println!("{}", push(Command::new("skopeo"), &packed, repository, tag, transport).await?);
    Ok(())
}
