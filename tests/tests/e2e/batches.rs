//! Batches over HTTP: many images, some broken, watched, steered, fetched as one archive, and killed in the middle.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use breakwater_tests::client::Client;
use breakwater_tests::external::program;
use breakwater_tests::service::Launch;
use futures_util::StreamExt as _;
use image::{ImageBuffer, Rgb};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{assert_problem, eventually, ok, start};

/// Draws different pictures, every tenth of them broken, and names them.
pub(crate) fn pictures(folder: &Path, count: u32) -> Vec<String> {
    std::fs::create_dir_all(folder.join("sub")).unwrap();
    let name = |index: u32| if index.is_multiple_of(3) { format!("sub/p{index:03} ü.png") } else { format!("p{index:03}.png") };
    let names: Vec<String> = (0..count).map(name).collect();
    for (index, name) in (0..count).zip(&names) {
        let picture = ImageBuffer::from_fn(320, 240, |x, y| Rgb([(x % 256) as u8, (y + index) as u8, (index * 7 % 256) as u8]));
        picture.save(folder.join(name)).unwrap();
        if is_broken(index) {
            std::fs::write(folder.join(name), b"\x89PNG\r\n\x1a\nbroken").unwrap();
        }
    }
    names
}

pub(crate) fn is_broken(index: u32) -> bool {
    index % 10 == 4
}

pub(crate) fn options() -> Value {
    json!({ "target_aspect_ratio": "4:6", "crop_strategy": "center", "output_format": "jpeg", "quality": 80 })
}

pub(crate) async fn begin(client: &Client, body: Value) -> String {
    let answer = client.post("/v1/batches", &body).await.unwrap();
    assert_eq!(answer.status, 202, "{}", answer.beginning());
    let batch = answer.json().unwrap();
    assert_eq!(answer.header("location"), format!("/v1/batches/{}", batch["id"].as_str().unwrap()));
    batch["id"].as_str().unwrap().to_owned()
}

pub(crate) async fn ended(client: &Client, id: &str) -> Value {
    eventually("the batch ends", async || {
        let batch = ok(&client.get(&format!("/v1/batches/{id}")).await.unwrap());
        ["COMPLETED", "CANCELLED", "FAILED"].contains(&batch["status"].as_str().unwrap()).then_some(batch)
    })
    .await
}

/// Every result by its image.
async fn results(client: &Client, id: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for page in 1.. {
        let part = ok(&client.get(&format!("/v1/batches/{id}/results?per_page=200&page={page}")).await.unwrap());
        let items = part["items"].as_array().unwrap().clone();
        if items.is_empty() {
            assert_eq!(part["total"], found.len());
            return found;
        }
        found.extend(items.into_iter().map(|item| (item["image_path"].as_str().unwrap().to_owned(), item)));
    }
    found
}

async fn command(client: &Client, id: &str, what: &str) -> Value {
    ok(&client.post(&format!("/v1/batches/{id}/{what}"), &json!({})).await.unwrap())
}

#[tokio::test]
async fn a_batch_tells_its_progress_and_gives_everything_in_one_archive() {
    let home = tempfile::tempdir().unwrap();
    let names = pictures(&home.path().join("media/photos"), 60);
    let (_service, client) = start(Launch::with_plugins().unwrap().at(home.path()));
    let id = begin(&client, json!({ "folder": "/photos", "processing_options": options(), "concurrency": 3 })).await;
    let mut events = client.request(Method::GET, &format!("/v1/batches/{id}/events")).send().await.unwrap().bytes_stream();
    let mut text = String::new();
    while let Some(piece) = events.next().await {
        text.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    let told: Vec<Value> =
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(|data| serde_json::from_str(data).unwrap()).collect();
    let kinds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!((kinds.last(), kinds.iter().filter(|kind| **kind == "end").count()), (Some(&"end"), 1));
    let done: Vec<u64> = told.iter().map(|batch| batch["progress"]["done"].as_u64().unwrap()).collect();
    assert!(done.is_sorted() && done.last() == Some(&60), "{done:?}");
    let last = told.last().unwrap();
    assert_eq!(
        (&last["status"], &last["progress"]["succeeded"], &last["progress"]["failed"]),
        (&json!("COMPLETED"), &json!(54), &json!(6))
    );

    let results = results(&client, &id).await;
    for (index, name) in (0..).zip(&names) {
        let result = &results[&format!("photos/{name}")];
        if is_broken(index) {
            assert_eq!((&result["status"], &result["error"]["code"]), (&json!("failed"), &json!("image.corrupt")), "{result}");
        } else {
            assert_eq!((&result["status"], &result["output"]["format"]), (&json!("succeeded"), &json!("jpeg")), "{result}");
        }
    }
    let failed = ok(&client.get(&format!("/v1/batches/{id}/results?status=failed&per_page=2&page=3")).await.unwrap());
    assert_eq!((failed["total"].as_u64(), failed["items"].as_array().unwrap().len()), (Some(6), 2));
    let listed = ok(&client.get("/v1/batches?status=COMPLETED").await.unwrap());
    assert_eq!(
        (&listed["total"], &listed["items"][0]["id"], &listed["items"][0]["progress"]["failed"]),
        (&json!(1), &json!(id), &json!(6))
    );
    // The host's workflow is no workflow of the users.
    assert_eq!(ok(&client.get("/api/workflows").await.unwrap())["total"], 0);

    let gone = results[&format!("photos/{}", names[1])]["output_path"].as_str().unwrap();
    std::fs::remove_file(home.path().join("media").join(gone.trim_start_matches('/'))).unwrap();
    let archive = client.get(&format!("/v1/batches/{id}/archive")).await.unwrap();
    assert_eq!((archive.status, archive.header("content-type")), (200, "application/zip"));
    check_archive(&archive.body, &names);

    let again = client.post(&format!("/v1/batches/{id}/retry"), &json!({})).await.unwrap().json().unwrap();
    assert_eq!((&again["retry_of"], &again["progress"]["total"]), (&json!(id), &json!(6)));
    assert_eq!(ended(&client, again["id"].as_str().unwrap()).await["progress"]["failed"], 6);
    check_retries(&client, &home.path().join("media"), &names, &id, again["id"].as_str().unwrap()).await;
}

/// What failed is mended, and done again as often as that is asked for; `first` is a retry that has ended.
async fn check_retries(client: &Client, media: &Path, names: &[String], id: &str, first: &str) {
    for (index, name) in (0..).zip(names).filter(|(index, _)| is_broken(*index)) {
        ImageBuffer::from_pixel(320, 240, Rgb([index as u8, 0, 0])).save(media.join("photos").join(name)).unwrap();
    }
    let retry = async |key: Option<&str>| {
        let request = client.request(Method::POST, &format!("/v1/batches/{id}/retry"));
        let request = if let Some(key) = key { request.header("idempotency-key", key) } else { request };
        let batch = client.send(request).await.unwrap().json().unwrap();
        batch["id"].as_str().unwrap_or_else(|| panic!("{batch}")).to_owned()
    };
    // A file where the output folder would be: what cannot be written is tried again and again, so that the retry goes on.
    std::fs::rename(media.join("output"), media.join("aside")).unwrap();
    std::fs::write(media.join("output"), "").unwrap();
    let second = retry(None).await;
    assert_ne!(second, first, "the first retry has ended");
    assert_eq!(retry(None).await, second, "while it goes on, asking again is asking once");
    std::fs::remove_file(media.join("output")).unwrap();
    std::fs::rename(media.join("aside"), media.join("output")).unwrap();
    let mended = ended(client, &second).await;
    assert_eq!((&mended["progress"]["succeeded"], &mended["progress"]["failed"]), (&json!(6), &json!(0)), "{mended}");

    let third = retry(Some("mended")).await;
    assert!(third != second && third != first, "a key of its own is a retry of its own");
    ended(client, &third).await;
    assert_eq!(retry(Some("mended")).await, third, "one key is one retry, also after its end");
    let other = client.request(Method::POST, &format!("/v1/batches/{first}/retry")).header("idempotency-key", "mended");
    assert_problem(&client.send(other).await.unwrap(), 409, "execution.key-reused");
}

/// Looks at an archive with Python, which knows nothing of how it was written.
fn check_archive(bytes: &[u8], names: &[String]) {
    if program("python3").is_none() {
        println!("NOT RUN: the archive is not looked at with another program (there is no python3)");
        return;
    }
    const SCRIPT: &str = "
import csv, io, json, sys, zipfile
archive = zipfile.ZipFile(sys.argv[1])
assert archive.testzip() is None
assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
manifest = json.loads(archive.read('manifest.json'))
rows = list(csv.DictReader(io.TextIOWrapper(archive.open('manifest.csv'), encoding='utf-8', newline='')))
files = [row['file'] for row in manifest['items'] if 'file' in row]
assert sorted(files + ['manifest.json', 'manifest.csv']) == sorted(archive.namelist())
assert all(archive.read(name)[:3] == b'\\xff\\xd8\\xff' for name in files)
print(json.dumps({'manifest': manifest, 'rows': rows}))
";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("batch.zip");
    std::fs::write(&file, bytes).unwrap();
    let output = std::process::Command::new("python3").args(["-c", SCRIPT]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    let items = seen["manifest"]["items"].as_array().unwrap();
    assert_eq!((items.len(), seen["rows"].as_array().unwrap().len()), (names.len(), names.len()));
    let status = |status: &str| items.iter().filter(|item| item["status"] == status).count();
    assert_eq!((status("succeeded"), status("failed"), status("missing")), (53, 6, 1));
    let of = |name: &str| items.iter().find(|item| item["image_path"] == format!("photos/{name}")).unwrap();
    assert_eq!(of(&names[0])["file"], "photos/sub/p000 ü.jpg");
    assert_eq!((&of(&names[1])["status"], &of(&names[1])["error"]["code"]), (&json!("missing"), &json!("media.not-found")));
}

#[tokio::test]
async fn a_batch_is_paused_goes_on_and_is_cancelled() {
    let home = tempfile::tempdir().unwrap();
    pictures(&home.path().join("media/photos"), 120);
    let (_service, client) = start(Launch::with_plugins().unwrap().at(home.path()));
    let body = json!({ "folder": "/photos", "processing_options": options(), "concurrency": 1, "idempotency_key": "once" });
    let id = begin(&client, body.clone()).await;
    assert_eq!(client.post("/v1/batches", &body).await.unwrap().json().unwrap()["id"], json!(id), "the same key is the same batch");
    eventually("some are done", async || {
        let batch = ok(&client.get(&format!("/v1/batches/{id}")).await.unwrap());
        (batch["progress"]["done"].as_u64() >= Some(3)).then_some(())
    })
    .await;
    assert_eq!(command(&client, &id, "pause").await["status"], "PAUSED");
    let still = eventually("what is at work ends", async || {
        let batch = ok(&client.get(&format!("/v1/batches/{id}")).await.unwrap());
        (batch["progress"]["running"] == 0).then_some(batch)
    })
    .await;
    assert_eq!(still["status"], "PAUSED");
    let mut stream = client.request(Method::GET, &format!("/v1/batches/{id}/events")).send().await.unwrap().bytes_stream();
    let first = stream.next().await.unwrap().unwrap();
    let first = String::from_utf8_lossy(&first).into_owned();
    assert!(first.contains("event: progress") && first.contains("PAUSED"), "{first}");
    assert_eq!(command(&client, &id, "resume").await["status"], "RUNNING");
    let cancelled = command(&client, &id, "cancel").await;
    assert_eq!(cancelled["status"], "CANCELLED");
    assert!(cancelled["progress"]["done"].as_u64().unwrap() < 120, "{cancelled}");
    let refused = client.post(&format!("/v1/batches/{id}/resume"), &json!({})).await.unwrap();
    assert_problem(&refused, 409, "execution.state");
    let detail = refused.json().unwrap()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("the batch is CANCELLED"), "{detail}");
    let mut told = String::new();
    while let Some(piece) = stream.next().await {
        told.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    let last = told.trim_end().rsplit("\n\n").next().unwrap();
    assert!(last.contains("event: end") && last.contains("CANCELLED"), "{last}");
    let rest = ok(&client.get(&format!("/v1/batches/{id}/results?status=pending")).await.unwrap());
    assert!(rest["total"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn every_image_is_done_once_however_often_the_service_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let names = pictures(&home.path().join("media/photos"), 200);
    let launch = || Launch::with_plugins().unwrap().at(home.path());
    let (mut service, mut client) = start(launch());
    let id = begin(&client, json!({ "folder": "/photos", "processing_options": options(), "concurrency": 4 })).await;
    let mut finished: BTreeMap<String, (Value, std::time::SystemTime)> = BTreeMap::new();
    for point in (1..200).step_by(18) {
        let killed = eventually("it comes so far", async || {
            let batch = ok(&client.get(&format!("/v1/batches/{id}")).await.unwrap());
            (batch["progress"]["done"].as_u64() >= Some(point)).then_some(batch)
        });
        killed.await;
        let now = results(&client, &id).await;
        service.signal(Signal::KILL).unwrap();
        service.wait(Duration::from_secs(20)).unwrap();
        for (image, result) in now.into_iter().filter(|(_, result)| result["status"] == "succeeded") {
            let file = home.path().join("media").join(result["output_path"].as_str().unwrap().trim_start_matches('/'));
            finished.entry(image).or_insert((result, std::fs::metadata(file).unwrap().modified().unwrap()));
        }
        (service, client) = start(launch());
    }
    let batch = ended(&client, &id).await;
    assert_eq!(
        (&batch["status"], &batch["progress"]["succeeded"], &batch["progress"]["failed"]),
        (&json!("COMPLETED"), &json!(180), &json!(20))
    );
    let all = results(&client, &id).await;
    assert_eq!(all.len(), names.len());
    // What was finished before a crash is what it was: neither its entry in the journal nor its file was made again.
    assert!(finished.len() > 40, "{}", finished.len());
    for (image, (before, modified)) in &finished {
        assert_eq!(&all[image], before, "{image}");
        let file = home.path().join("media").join(before["output_path"].as_str().unwrap().trim_start_matches('/'));
        assert_eq!(std::fs::metadata(file).unwrap().modified().unwrap(), *modified, "{image}");
    }
    // One end for each image in the journal.
    let mut ends: BTreeMap<String, u32> = BTreeMap::new();
    for page in 1.. {
        let history = ok(&client.get(&format!("/api/executions/{id}/history?per_page=200&page={page}")).await.unwrap());
        let events = history["items"].as_array().unwrap();
        if events.is_empty() {
            break;
        }
        for event in events.iter().filter(|event| ["completed", "failed"].contains(&event["type"].as_str().unwrap())) {
            *ends.entry(event["path"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    assert_eq!(ends.remove("images"), Some(1));
    assert_eq!((ends.len(), ends.values().max()), (200, Some(&1)));
    drop(service);
}

#[tokio::test]
async fn manifests_name_images_with_options_of_their_own() {
    let home = tempfile::tempdir().unwrap();
    let names = pictures(&home.path().join("media/photos"), 3);
    let media = home.path().join("media");
    std::fs::write(
        media.join("list.csv"),
        format!("image_path,id,quality,output_format\n/photos/{},a,,\n/photos/{},b,30,png\n", names[0], names[1]),
    )
    .unwrap();
    let (_service, client) = start(Launch::with_plugins().unwrap().at(home.path()));
    let body = json!({ "manifest": "/list.csv", "processing_options": options(), "wait": true });
    let answer = client.post("/v1/batches", &body).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.beginning());
    let batch = answer.json().unwrap();
    let results = results(&client, batch["id"].as_str().unwrap()).await;
    let of = |name: &str| &results[&format!("/photos/{name}")];
    assert_eq!((&of(&names[0])["id"], &of(&names[0])["output"]["format"]), (&json!("a"), &json!("jpeg")));
    assert_eq!((&of(&names[1])["id"], &of(&names[1])["output"]["format"]), (&json!("b"), &json!("png")));
    let detecting = json!({
        "images": [format!("/photos/{}", names[0]), { "image_path": format!("/photos/{}", names[1]), "detection_types": [] }, "/none.jpg"],
        "processing_options": { "target_aspect_ratio": "1:1", "detection_types": ["face"], "confidence_threshold": 0.6 },
        "wait": true
    });
    let batch = client.post("/v1/batches", &detecting).await.unwrap().json().unwrap();
    assert_eq!((&batch["progress"]["succeeded"], &batch["progress"]["failed"]), (&json!(2), &json!(1)), "{batch}");
}

#[tokio::test]
async fn what_is_wrong_with_a_batch_is_said_before_anything_runs() {
    let home = tempfile::tempdir().unwrap();
    pictures(&home.path().join("media/photos"), 1);
    std::fs::create_dir_all(home.path().join("media/empty")).unwrap();
    std::fs::write(home.path().join("media/bad.jsonl"), "\"/a.jpg\"\n\nnope\n{\"image_path\": 1}\n").unwrap();
    let (_service, client) = start(Launch::with_plugins().unwrap().at(home.path()));
    let images = json!(["/photos/p001.png"]);
    let mut unfit = options();
    unfit["strategy_parameters"] = json!({ "x": 7, "q": 1 });
    for (body, status, code) in [
        (json!({ "images": [] }), 400, "crop.ratio-missing"),
        (json!({ "images": [], "processing_options": options() }), 400, "batch.empty"),
        (json!({ "folder": "/empty", "processing_options": options() }), 400, "batch.empty"),
        (json!({ "folder": "/none", "processing_options": options() }), 404, "media.not-found"),
        (json!({ "folder": "/../etc", "processing_options": options() }), 400, "media.outside"),
        (json!({ "folder": "/bad.jsonl", "processing_options": options() }), 400, "media.not-a-folder"),
        (json!({ "images": images, "processing_options": unfit }), 400, "strategy.parameters-invalid"),
        (json!({ "manifest": "/bad.jsonl", "processing_options": options() }), 400, "batch.manifest-invalid"),
        (json!({ "images": [7], "processing_options": options() }), 400, "batch.entry-invalid"),
        (json!({ "images": images, "processing_options": { "target_aspect_ratio": "4:6", "quality": 0 } }), 400, "batch.options-invalid"),
        (
            json!({ "images": images, "processing_options": { "target_aspect_ratio": "4:6", "crop_strategy": "centre" } }),
            400,
            "strategy.unknown",
        ),
        (json!({ "images": images, "processing_options": options(), "concurrency": 0 }), 400, "batch.concurrency-invalid"),
        (json!({ "images": images, "processing_options": options(), "concurrency": 65 }), 400, "batch.concurrency-invalid"),
        (json!({ "images": vec!["/a.jpg"; 100_001], "processing_options": options() }), 422, "batch.too-many-images"),
        (json!({ "images": vec!["x".repeat(200); 40_000], "processing_options": options() }), 422, "batch.list-too-long"),
        (json!({ "processing_options": options() }), 400, "request.field-invalid"),
    ] {
        let answer = client.post("/v1/batches", &body).await.unwrap();
        assert_problem(&answer, status, code);
    }
    let told = async |body: Value| {
        let problem = client.post("/v1/batches", &body).await.unwrap().json().unwrap();
        let violations = problem["violations"].as_array().unwrap();
        let mut pointers: Vec<_> = violations.iter().map(|one| one["pointer"].as_str().unwrap().to_owned()).collect();
        pointers.sort();
        (pointers, problem)
    };
    let mut many = vec![json!("/a.jpg"); 500];
    many.push(json!({ "image_pth": "/x" }));
    let (pointers, _) = told(json!({ "images": many, "processing_options": { "colour": "red" } })).await;
    assert_eq!(pointers, ["/images/500", "/images/500/image_pth", "/processing_options/colour"]);
    let (pointers, problem) = told(json!({ "images": vec![7; 100], "processing_options": options() })).await;
    assert_eq!((pointers.len(), &problem["details"]["more"]), (20, &json!(80)));
    let (pointers, _) = told(json!({ "images": images, "processing_options": unfit })).await;
    assert_eq!(pointers, ["/processing_options/strategy_parameters", "/processing_options/strategy_parameters/x"]);
    let own =
        json!(["/a.jpg", { "image_path": "/b.jpg", "strategy_parameters": { "y": 2 } }, { "image_path": "/c.jpg", "crop_strategy": "no" }]);
    let (pointers, problem) = told(json!({ "images": own, "processing_options": options() })).await;
    assert_eq!(
        (pointers.join(" "), &problem["code"]),
        ("/images/1/strategy_parameters/y /images/2".to_owned(), &json!("batch.entry-invalid"))
    );
    let (pointers, problem) = told(json!({ "manifest": "/bad.jsonl", "processing_options": options() })).await;
    assert_eq!(pointers, ["/3", "/4/image_path"]);
    assert_eq!(problem["detail"], "line 3 of the manifest: expected ident at column 2 (and 1 more)");
    assert_eq!(ok(&client.get("/v1/batches").await.unwrap())["total"], 0);
    for path in ["", "/results", "/events", "/archive"] {
        assert_problem(&client.get(&format!("/v1/batches/none{path}")).await.unwrap(), 404, "batch.unknown");
    }
}

#[tokio::test]
async fn a_batch_that_is_waited_for_tells_what_became_of_each_image() {
    let home = tempfile::tempdir().unwrap();
    let names = pictures(&home.path().join("media/photos"), 12);
    let (_service, client) = start(Launch::with_plugins().unwrap().at(home.path()));
    let images: Vec<Value> = names.iter().map(|name| json!({ "image_path": format!("/photos/{name}"), "id": name })).collect();
    let call = async |images: &[Value], options: Value| {
        client.call("process-batch", &json!({ "images": images, "processing_options": options })).await.unwrap()
    };
    let output = ok(&call(&images, options()).await)["output"].clone();
    assert_eq!((&output["total"], &output["succeeded"], &output["failed"]), (&json!(12), &json!(11), &json!(1)));
    for (index, (name, result)) in (0..).zip(names.iter().zip(output["results"].as_array().unwrap())) {
        assert_eq!((&result["id"], result["success"].as_bool()), (&json!(name), Some(!is_broken(index))));
        if is_broken(index) {
            assert_eq!(result["error"]["error_code"], "image.corrupt");
        } else {
            assert!(home.path().join("media").join(result["output_path"].as_str().unwrap().trim_start_matches('/')).is_file());
        }
    }
    assert_problem(&call(&vec![json!("/a.jpg"); 1001], options()).await, 422, "batch.too-many-images");
    assert_problem(&call(&[], options()).await, 400, "batch.empty");
    assert_problem(&call(&images, json!({})).await, 400, "crop.ratio-missing");
}

#[tokio::test]
async fn a_pause_outlives_the_service_and_streams_end_with_it() {
    let home = tempfile::tempdir().unwrap();
    pictures(&home.path().join("media/photos"), 40);
    let launch = || Launch::with_plugins().unwrap().at(home.path());
    let (service, client) = start(launch());
    let id = begin(&client, json!({ "folder": "/photos", "processing_options": options(), "concurrency": 1 })).await;
    assert_eq!(command(&client, &id, "pause").await["status"], "PAUSED");
    let quiet = eventually("what is at work ends", async || {
        let batch = ok(&client.get(&format!("/v1/batches/{id}")).await.unwrap());
        (batch["progress"]["running"] == 0).then_some(batch)
    });
    let before = quiet.await;
    let path = format!("/v1/batches/{id}/events");
    let mut first = client.request(Method::GET, &path).send().await.unwrap().bytes_stream();
    let event = String::from_utf8(first.next().await.unwrap().unwrap().to_vec()).unwrap();
    let number = event.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
    // Who has seen the last event hears nothing until there is another one, or the service ends.
    let mut stream = client.request(Method::GET, &path).header("last-event-id", &number).send().await.unwrap().bytes_stream();
    assert!(tokio::time::timeout(Duration::from_millis(600), stream.next()).await.is_err());
    assert!(service.stop(Duration::from_secs(20)).unwrap().success());
    assert!(stream.next().await.is_none(), "the stream ends without an event");

    let (_service, client) = start(launch());
    let batch = ok(&client.get(&format!("/v1/batches/{id}")).await.unwrap());
    assert_eq!((&batch["status"], &batch["progress"]["done"]), (&json!("PAUSED"), &before["progress"]["done"]));
    command(&client, &id, "resume").await;
    let batch = ended(&client, &id).await;
    assert_eq!((&batch["progress"]["succeeded"], &batch["progress"]["failed"]), (&json!(36), &json!(4)), "{batch}");
    let end = client.send(client.request(Method::GET, &path).header("last-event-id", "1")).await.unwrap();
    assert!(end.beginning().starts_with("event: end"), "{}", end.beginning());
}
