// The AWS SDK for JavaScript with nothing but the environment changed; prints one JSON object.
import { BedrockClient, ListFoundationModelsCommand } from "@aws-sdk/client-bedrock";
import { BedrockRuntimeClient, InvokeModelCommand, ValidationException } from "@aws-sdk/client-bedrock-runtime";

const modelId = "amazon.nova-2-multimodal-embeddings-v1:0";
const runtime = new BedrockRuntimeClient({ maxAttempts: 1 });

async function invoke(params) {
  const body = { taskType: "SINGLE_EMBEDDING", singleEmbeddingParams: { embeddingPurpose: "GENERIC_INDEX", ...params } };
  const answer = await runtime.send(
    new InvokeModelCommand({ modelId, contentType: "application/json", accept: "application/json", body: JSON.stringify(body) }),
  );
  return JSON.parse(new TextDecoder().decode(answer.body)).embeddings;
}

const [{ embedding }] = await invoke({ embeddingDimension: 384, text: { truncationMode: "END", value: "日落海滩" } });
let refused;
try {
  await invoke({ text: {} });
} catch (error) {
  refused = { caught: error instanceof ValidationException, name: error.name, message: error.message };
}
const { modelSummaries } = await new BedrockClient({}).send(new ListFoundationModelsCommand({}));
console.log(JSON.stringify({ embedding, refused, models: modelSummaries.map((one) => one.modelId) }));
