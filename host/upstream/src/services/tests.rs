use serde_json::Value;
use uuid::Uuid;

use super::*;

/// Finds fault with every schema that is `false`.
struct Strict;

impl ActionCompiler for Strict {
    fn compile(&self, definition: &ServiceDefinition) -> Result<CompiledActions, Vec<DefinitionViolation>> {
        let wrong = |(index, action): (usize, &ActionDefinition)| {
            let pointer = format!("/actions/{index}/input_schema");
            (action.input_schema == Some(Value::Bool(false))).then(|| DefinitionViolation { pointer, message: "is wrong".to_owned() })
        };
        let found: Vec<_> = definition.actions.iter().enumerate().filter_map(wrong).collect();
        if found.is_empty() { Ok(Arc::new(definition.version)) } else { Err(found) }
    }
}

async fn catalogue(records: &Arc<MemoryServiceCatalogueRecords>) -> Arc<ServiceCatalogue> {
    ServiceCatalogue::open(Arc::clone(records) as _, Arc::new(Strict)).await.unwrap()
}

async fn empty() -> Arc<ServiceCatalogue> {
    catalogue(&Arc::default()).await
}

fn draft(name: &str) -> ServiceDraft {
    ServiceDraft { name: name.to_owned(), endpoint: "http://localhost:8000/api".to_owned(), ..ServiceDraft::default() }
}

fn action(name: &str) -> ActionDefinition {
    serde_json::from_value(json!({ "name": name })).unwrap()
}

fn pointers(failure: &Failure) -> Vec<String> {
    let violations = failure.detail.as_ref().unwrap()["violations"].as_array().unwrap();
    violations.iter().map(|violation| violation["pointer"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_service_is_found_by_its_id_and_by_its_name_and_counts_its_versions() {
    let catalogue = empty().await;
    let made = catalogue.create(draft("text-extraction")).await.unwrap();
    let (id, created) = (made.definition.id.clone(), made.definition.created_at_ms);
    assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 7);
    assert_eq!((made.definition.version, made.definition.status), (1, ServiceStatus::Active));
    let patch = ServicePatch { status: Some(ServiceStatus::Archived), actions: Some(vec![action("extract")]), ..ServicePatch::default() };
    let changed = catalogue.update("text-extraction", patch).await.unwrap();
    assert_eq!((changed.definition.version, changed.definition.created_at_ms), (2, created));
    assert_eq!(changed.definition.action("extract").unwrap().effect, breakwater_core::OperationEffect::Create);
    assert_eq!(changed.definition.endpoint, "http://localhost:8000/api", "what is not given stays");
    assert_eq!(catalogue.get(&id).unwrap().definition, catalogue.get("text-extraction").unwrap().definition);
    let gone = catalogue.remove(&id).await.unwrap();
    assert_eq!(gone.definition.version, 2);
    let unknown = catalogue.get(&"x".repeat(1000)).unwrap_err();
    assert_eq!((&*unknown.code, unknown.kind, unknown.message.len() < 200), ("service.unknown", FailureKind::NotFound, true));
    assert_eq!(unknown.detail.unwrap()["resource_type"], "service");
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let catalogue = empty().await;
    let wrong = ActionDefinition { input_schema: Some(Value::Bool(false)), timeout_ms: Some(0), ..action("a b") };
    let long = "x".repeat(MAX_DESCRIPTION + 1);
    let description = ActionDefinition { description: long.clone(), timeout_ms: Some(MAX_ACTION_TIMEOUT_MS + 1), ..action("a") };
    let draft = ServiceDraft {
        name: "Text".to_owned(),
        description: long,
        endpoint: "ftp://me@localhost".to_owned(),
        actions: vec![wrong, action("a"), description],
        metadata: json!({ "text": "x".repeat(MAX_METADATA) }).as_object().unwrap().clone(),
        status: ServiceStatus::Active,
    };
    let failure = catalogue.create(draft).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("service.invalid", FailureKind::InvalidRequest));
    let expected = [
        "/name",
        "/description",
        "/endpoint",
        "/metadata",
        "/actions/0/name",
        "/actions/0/timeout_ms",
        "/actions/2/name",
        "/actions/2/description",
        "/actions/2/timeout_ms",
        "/actions/0/input_schema",
    ];
    assert_eq!(pointers(&failure), expected);
    assert!(catalogue.snapshot().is_empty());
}

#[tokio::test]
async fn what_is_listed_of_a_definition_that_is_wrong_everywhere_is_bounded() {
    let actions = vec![action("a b"); MAX_ACTIONS];
    let failure = empty().await.create(ServiceDraft { actions, ..draft("text") }).await.unwrap_err();
    assert_eq!((pointers(&failure).len(), &failure.detail.unwrap()["more_violations"]), (100, &json!(2 * MAX_ACTIONS - 1 - 100)));
}

#[tokio::test]
async fn actions_are_counted_and_definitions_measured() {
    let catalogue = empty().await;
    let actions = |count: usize| (0..count).map(|index| action(&format!("a{index}"))).collect::<Vec<_>>();
    let many = ServiceDraft { actions: actions(MAX_ACTIONS), ..draft("many") };
    assert_eq!(catalogue.create(many).await.unwrap().definition.actions.len(), MAX_ACTIONS);
    let more = ServiceDraft { actions: actions(MAX_ACTIONS + 1), ..draft("more") };
    assert_eq!(pointers(&catalogue.create(more).await.unwrap_err()), ["/actions"]);

    let of_size = |length: usize| {
        let large = ActionDefinition { input_schema: Some(json!({ "title": "x".repeat(length) })), ..action("a") };
        ServiceDraft { actions: vec![large], ..draft("large") }
    };
    assert!(catalogue.create(of_size(MAX_DEFINITION - 1024)).await.is_ok());
    let failure = catalogue.create(of_size(MAX_DEFINITION)).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("service.too-large", FailureKind::Limit));
    let failure =
        catalogue.update("large", ServicePatch { actions: Some(of_size(MAX_DEFINITION).actions), ..ServicePatch::default() }).await;
    assert_eq!(failure.unwrap_err().code, "service.too-large");
}

#[tokio::test]
async fn services_are_counted() {
    let catalogue = empty().await;
    for index in 0..ServiceCatalogue::MAX_SERVICES {
        catalogue.create(draft(&format!("s{index}"))).await.unwrap();
    }
    let failure = catalogue.create(draft("one-more")).await.unwrap_err();
    assert_eq!((&*failure.code, failure.kind), ("service.full", FailureKind::Limit));
    catalogue.remove("s0").await.unwrap();
    assert!(catalogue.create(draft("one-more")).await.is_ok());
}

#[tokio::test]
async fn names_are_taken_once() {
    let catalogue = empty().await;
    catalogue.create(draft("a")).await.unwrap();
    catalogue.create(draft("b")).await.unwrap();
    let rename = ServicePatch { name: Some("a".to_owned()), ..ServicePatch::default() };
    for failure in [catalogue.create(draft("a")).await.unwrap_err(), catalogue.update("b", rename).await.unwrap_err()] {
        assert_eq!((&*failure.code, pointers(&failure)), ("service.name-taken", vec!["/name".to_owned()]));
    }
}

#[tokio::test]
async fn what_is_created_again_under_the_same_key_is_what_is_there() {
    let records: Arc<MemoryServiceCatalogueRecords> = Arc::default();
    let (one, other) = (catalogue(&records).await, catalogue(&records).await);
    let text = || ServiceDraft { actions: vec![action("extract")], ..draft("text") };
    let made = one.create_once(text(), "k").await.unwrap().definition.clone();
    assert_eq!(one.create_once(text(), "k").await.unwrap().definition, made);
    assert_eq!(other.create_once(text(), "k").await.unwrap().definition, made, "in another process too");
    assert_eq!(one.snapshot().len(), 1);
    assert_eq!(one.create_once(text(), "other").await.unwrap_err().code, "service.name-taken");
    for different in [ServiceDraft { actions: Vec::new(), ..text() }, ServiceDraft { description: "x".to_owned(), ..text() }] {
        assert_eq!(one.create_once(different, "k").await.unwrap_err().code, "service.name-taken");
    }
    assert_eq!(one.create_once(draft("more"), "k").await.unwrap().definition.version, 1, "a key is one for each name");
    for index in 2..ServiceCatalogue::MAX_SERVICES {
        one.create(draft(&format!("s{index}"))).await.unwrap();
    }
    assert_eq!(one.create_once(text(), "k").await.unwrap().definition, made);
    assert_eq!(one.create_once(draft("too-many"), "k").await.unwrap_err().code, "service.full");
    one.update("text", ServicePatch { description: Some("x".to_owned()), ..ServicePatch::default() }).await.unwrap();
    assert_eq!(one.create_once(text(), "k").await.unwrap().definition.version, 2, "as it is now");
}

#[tokio::test]
async fn schemas_are_compiled_once_for_each_version() {
    let records: Arc<MemoryServiceCatalogueRecords> = Arc::default();
    let (one, other) = (catalogue(&records).await, catalogue(&records).await);
    one.create(draft("a")).await.unwrap();
    other.refresh().await.unwrap();
    let before = other.get("a").unwrap();
    one.create(draft("b")).await.unwrap();
    assert!(other.refresh().await.unwrap());
    assert!(Arc::ptr_eq(&before, &other.get("a").unwrap()), "it has not changed");
    one.update("a", ServicePatch::default()).await.unwrap();
    assert!(other.refresh().await.unwrap());
    let compiled = other.get("a").unwrap().compiled.clone().unwrap();
    assert_eq!(compiled.downcast_ref::<u64>(), Some(&2));
}

#[tokio::test]
async fn a_stored_service_that_cannot_be_used_any_more_takes_no_other_along() {
    let records: Arc<MemoryServiceCatalogueRecords> = Arc::default();
    let lenient = ServiceCatalogue::open(Arc::clone(&records) as _, Arc::new(NoActionCompiler)).await.unwrap();
    let bad = ActionDefinition { input_schema: Some(Value::Bool(false)), ..action("a") };
    lenient.create(ServiceDraft { actions: vec![bad], ..draft("bad") }).await.unwrap();
    lenient.create(draft("good")).await.unwrap();
    let catalogue = catalogue(&records).await;
    assert!(catalogue.get("bad").unwrap().compiled.is_none());
    assert!(catalogue.get("good").unwrap().compiled.is_some());
}

#[tokio::test(start_paused = true)]
async fn the_poll_takes_changes_over() {
    let records: Arc<MemoryServiceCatalogueRecords> = Arc::default();
    let (one, other) = (catalogue(&records).await, catalogue(&records).await);
    one.create(draft("a")).await.unwrap();
    let polls = tokio::time::timeout(Duration::from_secs(3), other.poll(Duration::from_secs(2)));
    polls.await.unwrap_err();
    assert!(other.get("a").is_ok());
}

#[test]
fn a_draft_takes_null_for_nothing() {
    let text = r#"{"name":"a","endpoint":"http://a","description":null,"actions":[{"name":"x","description":null,"input_schema":null}],"metadata":null}"#;
    let read: ServiceDraft = serde_json::from_str(text).unwrap();
    assert_eq!((read.description.as_str(), read.metadata.len(), &read.actions[0].input_schema), ("", 0, &None));
    assert!(serde_json::from_str::<ServiceDraft>(r#"{"name":"a","endpoint":"http://a","endpiont":1}"#).is_err());
    assert!("PAUSED".parse::<ServiceStatus>().is_err() && "INACTIVE".parse() == Ok(ServiceStatus::Inactive));
}
