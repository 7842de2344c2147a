"""The complete example of the Service Integration Client: registers two services, creates a workflow of them, and executes it."""

from __future__ import annotations

from typing import Any

from shared.utils.src.clients import ServiceIntegrationClient
from shared.utils.src.exceptions import MaxRetriesExceededError, ResourceNotFoundError, ServiceUnavailableError, ValidationError
from shared.utils.src.request_id import get_request_id


async def create_and_execute_document_workflow(
    base_url: str, text_extraction_url: str, sentiment_analysis_url: str
) -> dict[str, Any] | None:
    """As an application has it, but for the addresses."""
    client = ServiceIntegrationClient(base_url=base_url)

    try:
        text_extraction = await client.register_service(
            name="text-extraction",
            description="Finds the text in a document",
            endpoint=text_extraction_url,
            actions=[
                {
                    "name": "extract",
                    "description": "Gives the text of a document",
                    "input_schema": {
                        "type": "object",
                        "properties": {"document_url": {"type": "string", "format": "uri", "description": "Where the document is"}},
                        "required": ["document_url"],
                    },
                    "output_schema": {
                        "type": "object",
                        "properties": {"text": {"type": "string", "description": "What it says"}},
                        "required": ["text"],
                    },
                }
            ],
        )

        print(f"Registered text extraction service with ID: {text_extraction['id']}")

        sentiment_analysis = await client.register_service(
            name="sentiment-analysis",
            description="Says how a text feels",
            endpoint=sentiment_analysis_url,
            actions=[
                {
                    "name": "analyze",
                    "description": "Says how a text feels",
                    "input_schema": {
                        "type": "object",
                        "properties": {"text": {"type": "string", "description": "The text"}},
                        "required": ["text"],
                    },
                    "output_schema": {
                        "type": "object",
                        "properties": {
                            "sentiment": {"type": "string", "description": "positive, negative or neutral"},
                            "score": {"type": "number", "description": "-1.0 to 1.0"},
                        },
                        "required": ["sentiment", "score"],
                    },
                }
            ],
        )

        print(f"Registered sentiment analysis service with ID: {sentiment_analysis['id']}")

        workflow = await client.create_workflow(
            name="document-sentiment",
            description="Says how a document feels",
            steps=[
                {"id": "extract-text", "service": "text-extraction", "action": "extract", "next": "analyze-sentiment"},
                {"id": "analyze-sentiment", "service": "sentiment-analysis", "action": "analyze", "next": None},
            ],
        )

        print(f"Created workflow with ID: {workflow['id']}")

        result = await client.execute_workflow(
            workflow_id=workflow["id"],
            input_data={"document_url": "https://example.com/document.pdf"},
            context={"request_id": get_request_id()},
        )

        print("Workflow execution result:")
        print(f"Sentiment: {result['sentiment']}")
        print(f"Score: {result['score']}")

        return result

    except ValidationError as e:
        print(f"Validation error: {e.validation_errors}")
    except ResourceNotFoundError as e:
        print(f"Resource not found: {e.resource_type} with ID {e.resource_id}")
    except ServiceUnavailableError as e:
        print(f"Service unavailable: {e.service_name}")
    except MaxRetriesExceededError as e:
        print(f"Failed after {e.attempts} attempts: {e.last_error}")
    except Exception as e:
        print(f"Unexpected error: {e!s}")
    return None
