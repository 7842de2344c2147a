//! `cargo xtask demo`: what the service does, seen in a minute.

mod crops;
mod page;
mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use breakwater_tests::artifacts::Artifacts;
use breakwater_tests::client::Client;
use breakwater_tests::photographs;
use breakwater_tests::service::{Launch, Service};

use self::crops::Crop;
use crate::guests;
use crate::workspace::Workspace;

/// The ratios of the demo: a square, a portrait print, a wide screen.
const RATIOS: [(u32, u32); 3] = [(1, 1), (4, 6), (16, 9)];

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Leave the service running
    #[arg(long)]
    keep: bool,
    /// Folder for the results
    #[arg(long, default_value = "demo-output")]
    output: PathBuf,
}

/// Builds, starts, crops, prints, writes, stops.
///
/// # Errors
/// When something does not build, or the service does not answer as it should.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let output = workspace.root().join(&options.output);
    build(workspace)?;
    fs::create_dir_all(&output).with_context(|| format!("could not create {}", output.display()))?;

    let started = Instant::now();
    println!("\nStarting the service with its defaults on a free port (its first start compiles the plugins) ...");
    let home = fs::canonicalize(&output)?.join("service");
    let service = Launch::with_plugins()?.at(&home).start()?;
    println!("{} after {:.1} s", service.announcement(), started.elapsed().as_secs_f32());

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let crops = runtime.block_on(crop_all(&service));
    // What the service said matters most when it did not do what it should.
    let crops = crops.with_context(|| format!("the service logged:\n{}", service.log()))?;
    table::print(&crops);
    let page = write(&output, &crops)?;
    println!("\nThe pictures, results.json and the contact page are in {}\nOpen {}", output.display(), page.display());
    finish(service, options.keep)?;
    if crops.iter().any(|crop| crop.degraded) {
        eprintln!("error: some results are degraded: their strategy failed, and the table says who answered instead");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

fn build(workspace: &Workspace) -> Result<()> {
    if Artifacts::locate().is_err() {
        println!(
            "Building plugins and service. The first build compiles burn, wgpu and wasmtime: 20 to 40 minutes on two cores, a few on many."
        );
        println!("Nothing of it is compiled again by `cargo xtask test`.");
    }
    guests::build_plugins(workspace.root())?;
    workspace.build_binary()
}

/// Crops every photograph with every strategy at every ratio.
async fn crop_all(service: &Service) -> Result<Vec<Crop>> {
    let client = Client::new(service.base());
    let strategies = crops::strategies(&client).await?;
    if strategies.is_empty() {
        bail!("the service offers no strategy");
    }
    println!("Strategies: {}\n", strategies.join(", "));
    let mut crops = Vec::new();
    for photograph in photographs::shipped()? {
        for ratio in RATIOS {
            for strategy in &strategies {
                crops.push(crops::crop(&client, &service.media_root(), &photograph, strategy, ratio).await?);
            }
        }
    }
    Ok(crops)
}

/// Writes pictures, figures and the page; returns the page's path.
fn write(output: &Path, crops: &[Crop]) -> Result<PathBuf> {
    for crop in crops {
        let path = output.join(crop.file_name());
        fs::write(&path, &crop.picture).with_context(|| format!("could not write {}", path.display()))?;
    }
    let answers: Vec<_> = crops.iter().map(|crop| &crop.answer).collect();
    fs::write(output.join("results.json"), serde_json::to_vec_pretty(&answers)?)?;
    let path = output.join("index.html");
    fs::write(&path, page::html(&photographs::shipped()?, crops))?;
    Ok(path)
}

fn finish(service: Service, keep: bool) -> Result<()> {
    if keep {
        println!("\nThe service keeps running at {}; stop it with: kill {}", service.base(), service.pid());
        service.leave_running();
        return Ok(());
    }
    let status = service.stop(Duration::from_secs(60))?;
    if !status.success() {
        bail!("the service did not stop cleanly: {status}");
    }
    println!("The service is stopped.");
    Ok(())
}
