/* Step 5 of the schema: channels. */
#define SCHEMA_CHANNELS ""
