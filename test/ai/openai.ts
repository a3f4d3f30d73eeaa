/**
 * What stands for a provider's package in the guide.
 */
import { scriptedModel } from "./scripted-model.ts";

export const openai = () => scriptedModel(() => '{"title": "Two pages"}').model;
