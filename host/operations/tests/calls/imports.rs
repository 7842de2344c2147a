//! Imports: of folders and lists, with bad items, cancelled, interrupted and gone on with.

use std::sync::Arc;
use std::time::Duration;

use breakwater_core::Deadline;
use breakwater_operations::Chains;
use breakwater_operations::search::{ImportFormat, ImportPhase, ImportRequest, ImportSource, ImportStatus, SearchConfig};
use breakwater_search::records::{ImportState, ProductRecords};
use breakwater_vision::Format;

use crate::search::{catalogue, picture, shop};
use crate::{Behaviour, Stage};

async fn shop_with(files: &[(&str, Vec<u8>)]) -> (Stage, Arc<breakwater_search::MemoryProductRecords>) {
    let (stage, records, _) = shop(Behaviour::Finds(0.9), SearchConfig::default()).await;
    write(&stage, files);
    (stage, records)
}

fn write(stage: &Stage, files: &[(&str, Vec<u8>)]) {
    let root = stage.folder.path().join("media");
    for (name, bytes) in files {
        let file = root.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, bytes).unwrap();
    }
}

fn png(offset: u32) -> Vec<u8> {
    picture(100 + offset, 120, offset, Format::Png).to_vec()
}

fn request(name: &str, source: ImportSource) -> ImportRequest {
    ImportRequest { name: name.to_owned(), source, restart: false }
}

fn folder(path: &str) -> ImportSource {
    ImportSource::Folder(path.to_owned())
}

fn list(path: &str) -> ImportSource {
    ImportSource::File { path: path.to_owned(), format: None }
}

async fn ended(stage: &Stage, name: &str) -> ImportStatus {
    let deadline = Deadline::after(Duration::from_secs(60));
    loop {
        let status = stage.operations.import_state(name).await.unwrap();
        if status.phase != ImportPhase::Running {
            return status;
        }
        assert!(!deadline.has_passed(), "{status:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn import(stage: &Stage, source: ImportSource) -> ImportStatus {
    stage.operations.import(&stage.context(), request("i", source)).await.unwrap();
    ended(stage, "i").await
}

async fn code(stage: &Stage, request: ImportRequest) -> String {
    stage.operations.import(&stage.context(), request).await.unwrap_err().code.into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_becomes_products_and_bad_pictures_are_reported_by_number() {
    let mut files: Vec<(String, Vec<u8>)> = (0..30).map(|index| (format!("photos/b{index:02}.png"), png(index * 5))).collect();
    files.push(("photos/a-empty.jpg".into(), Vec::new()));
    files.push(("photos/b05-poison.jpg".into(), b"\xff\xd8\xff\xe0poison".to_vec()));
    files.push(("photos/shoes/red.png".into(), png(77)));
    files.push(("photos/readme.txt".into(), b"no picture".to_vec()));
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let (stage, records) = shop_with(&files).await;
    let status = import(&stage, folder("/photos")).await;
    assert_eq!((status.phase, status.position, status.stored, status.failed, status.total), (ImportPhase::Finished, 33, 31, 2, Some(33)));
    let problems: Vec<_> = status.problems.iter().map(|problem| (problem.item, problem.name.as_str(), problem.code.as_str())).collect();
    assert_eq!(problems, [(1, "photos/a-empty.jpg", "image.unsupported"), (7, "photos/b05-poison.jpg", "image.corrupt")]);
    let red = stage.operations.get_product(&stage.context(), "photos/shoes/red.png").await.unwrap();
    assert_eq!((red.title.as_str(), red.category.as_str(), red.image.as_str()), ("red", "shoes", "photos/shoes/red.png"));
    // Once more: the same products, nothing twice.
    let again = import(&stage, folder("/photos")).await;
    assert_eq!((again.stored, records.count().await.unwrap()), (31, 31));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_json_lines_is_read_line_by_line() {
    let long = format!(r#"{{"id":"long","title":"{}"}}"#, "x".repeat(breakwater_operations::search::import::MAX_LINE));
    let lines = [
        r#"{"id":"one","title":"Eins","category":"c","attributes":{"colour":"red"},"quality":0.5,"image":"/p/1.png"}"#,
        "",
        "{ no JSON",
        r#"{"id":"two","colour":"unknown field"}"#,
        &long,
        r#"{"image":"/p/2.png"}"#,
        r#"{"id":"vector","vector":[1.0,2.0],"model":"told"}"#,
        r#"{"id":"nan","vector":[1.0,1e999]}"#,
        r#"{"id":"gone","image":"/p/3.png"}"#,
        r#"{"id":"outside","image":"../secret.png"}"#,
        r#"{"title":"nothing"}"#,
    ];
    let files = [("p/1.png", png(5)), ("p/2.png", png(50)), ("list.jsonl", lines.join("\n").into_bytes())];
    let (stage, _) = shop_with(&files).await;
    let status = import(&stage, list("/list.jsonl")).await;
    let codes: Vec<_> = status.problems.iter().map(|problem| (problem.item, problem.code.as_str())).collect();
    let expected = [
        (2, "import.item-invalid"),
        (3, "import.item-invalid"),
        (4, "import.line-too-long"),
        (7, "import.item-invalid"),
        (8, "media.not-found"),
        (9, "media.outside"),
        (10, "import.item-invalid"),
    ];
    assert_eq!(codes, expected);
    assert_eq!((status.phase, status.stored, status.failed), (ImportPhase::Finished, 3, 7));
    let one = stage.operations.get_product(&stage.context(), "one").await.unwrap();
    assert_eq!((one.quality, one.attributes["colour"].as_str(), one.image.as_str()), (0.5, "red", "/p/1.png"));
    assert!(stage.operations.get_product(&stage.context(), "/p/2.png").await.is_ok(), "without an id, the image is its id");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_comma_separated_values_has_a_head_line() {
    let text = "id,title,image,quality,colour\n\
                one,\"Eins, \"\"zwei\"\"\n drei\",/p/1.png,0.5,red\n\
                two,Zwei,/p/1.png,good,\n\
                three,Drei\n\
                four,Vier,/p/1.png,,\n";
    let files = [("p/1.png", png(5)), ("list.csv", text.as_bytes().to_vec()), ("headless.csv", b"a,b\n1,2\n".to_vec())];
    let (stage, _) = shop_with(&files).await;
    let status = import(&stage, list("list.csv")).await;
    let codes: Vec<_> = status.problems.iter().map(|problem| (problem.item, problem.code.as_str())).collect();
    // A title has no line breaks.
    assert_eq!(codes, [(1, "product.invalid"), (2, "import.item-invalid"), (3, "import.item-invalid")]);
    assert_eq!((status.stored, status.failed), (1, 3));
    assert_eq!(code(&stage, request("j", list("headless.csv"))).await, "import.source-invalid");
    // A quote that is never closed must not fill the memory.
    let endless = [b"id,image\nok,/p/1.png\n\"".to_vec(), vec![b'x'; 3 << 20]].concat();
    write(&stage, &[("endless.csv", endless)]);
    stage.operations.import(&stage.context(), request("endless", list("endless.csv"))).await.unwrap();
    let status = ended(&stage, "endless").await;
    assert_eq!((status.phase, status.stored), (ImportPhase::Interrupted, 1));
    assert_eq!(status.interrupted_by.unwrap().code, "import.line-too-long");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_imported_is_refused_at_once() {
    let (stage, _) = shop_with(&[("list.txt", b"x".to_vec()), ("p/1.png", png(5))]).await;
    for name in ["", "a b", "ä", &"x".repeat(129)] {
        assert_eq!(code(&stage, request(name, folder("/p"))).await, "import.name-invalid", "{name:?}");
    }
    assert_eq!(code(&stage, request("i", list("list.txt"))).await, "import.source-invalid");
    assert_eq!(code(&stage, request("i", folder("/missing"))).await, "media.not-found");
    assert_eq!(code(&stage, request("i", folder("../p"))).await, "media.outside");
    let named = ImportSource::File { path: "p".into(), format: Some(ImportFormat::Jsonl) };
    assert_eq!(code(&stage, request("i", named)).await, "media.not-a-file");
    assert_eq!(stage.operations.import_state("i").await.unwrap_err().code, "import.not-found");
    assert_eq!(stage.operations.cancel_import("i").await.unwrap_err().code, "import.not-found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_goes_on_where_it_was_after_the_end_of_the_service() {
    let files: Vec<(String, Vec<u8>)> = (0..40).map(|index| (format!("p/{index:02}.png"), png(index * 3))).collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let (first, records) = shop_with(&files).await;
    // What a service that was killed left behind: half of the folder is stored, and so is the position.
    let half = ImportState {
        source: r#"{"folder":"/p"}"#.to_owned(),
        position: 20,
        marker: "p/19.png".to_owned(),
        stored: 20,
        ..ImportState::default()
    };
    records.set_import("i", half).await.unwrap();
    assert_eq!(first.operations.import_state("i").await.unwrap().phase, ImportPhase::Interrupted);
    first.operations.start_search().await;
    let status = ended(&first, "i").await;
    assert_eq!((status.phase, status.position, status.stored), (ImportPhase::Finished, 40, 40));
    let ids: Vec<String> = records
        .list(breakwater_search::records::ListRequest { limit: 100, ..Default::default() })
        .await
        .unwrap()
        .into_iter()
        .map(|stored| stored.product.id)
        .collect();
    let expected: Vec<String> = (20..40).map(|index| format!("p/{index:02}.png")).collect();
    assert_eq!(ids, expected, "what was stored before is not stored again");
    assert!(records.import("i").await.unwrap().unwrap().finished);
    first.operations.stop_search(Deadline::after(Duration::from_secs(10))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_that_is_cancelled_stays_so_until_somebody_asks_for_it() {
    let files: Vec<(String, Vec<u8>)> = (0..60).map(|index| (format!("p/{index:02}.png"), png(index))).collect();
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let search = SearchConfig { max_imports: 1, ..SearchConfig::default() };
    let (stage, records, _) = shop(Behaviour::Finds(0.9), search.clone()).await;
    write(&stage, &files);
    stage.operations.import(&stage.context(), request("i", folder("p"))).await.unwrap();
    assert_eq!(code(&stage, request("i", folder("p"))).await, "import.running");
    assert_eq!(code(&stage, request("other", folder("p"))).await, "import.too-many");
    stage.operations.cancel_import("i").await.unwrap();
    let cancelled = ended(&stage, "i").await;
    assert_eq!(cancelled.phase, ImportPhase::Cancelled, "{cancelled:?}");
    assert_eq!(records.count().await.unwrap(), cancelled.stored);
    // The next service leaves it alone.
    let products = catalogue(Arc::clone(&records), Arc::default()).await;
    let next = Stage::selling(Behaviour::Finds(0.9), Behaviour::Finds(0.9), 64, true, Chains::new(), (products, search)).await;
    write(&next, &files);
    next.operations.start_search().await;
    assert_eq!(next.operations.import_state("i").await.unwrap().phase, ImportPhase::Cancelled);
    assert_eq!(code(&next, request("i", folder("/p"))).await, "import.source-changed");
    next.operations.import(&next.context(), request("i", folder("p"))).await.unwrap();
    let finished = ended(&next, "i").await;
    assert_eq!((finished.phase, finished.stored, records.count().await.unwrap()), (ImportPhase::Finished, 60, 60));
    assert_eq!(next.operations.imports().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_of_a_host_that_is_not_allowed_is_the_items_fault() {
    let vectors = r#"{"id":"vector","vector":[1.0,2.0]}"#;
    let picture = r#"{"id":"picture","image":"http://unreachable.invalid/x.png"}"#;
    let (stage, _) = shop_with(&[("list.jsonl", format!("{vectors}\n{picture}\n").into_bytes())]).await;
    let status = import(&stage, list("list.jsonl")).await;
    assert_eq!((status.phase, status.stored, status.problems[0].code.as_str()), (ImportPhase::Finished, 1, "upstream.url-denied"));
}
