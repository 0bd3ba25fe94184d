"""What TensorRT 8.2 writes to its log.

DOCUMENTED: as the project's reference for the board has it, or an issue that it names. RECALLED: texts of 8.x as they are
widely quoted, their line numbers and wording not checked for 8.2.1. OWN: what the simulator says where nobody knows.
"""
# DOCUMENTED
INT64 = ("onnx2trt_utils.cpp:366: Your ONNX model has been generated with INT64 weights, while TensorRT does not "
         "natively support INT64. Attempting to cast down to INT32.")
NO_IMPORTER = "builtin_op_importers.cpp:4780: No importer registered for op: {}. Attempting to import as plugin."
NO_PLUGIN_CREATOR = "Plugin not found, are the plugin name, version, and namespace correct?"
NO_FILE = "ModelImporter.cpp:735: Failed to parse ONNX model from file: {}"
NO_OUTPUT = "4: [network.cpp::validate::2633] Error Code 4: Internal Error (Network must have at least one output)"
OTHER_VERSION = ("6: The engine plan file is not compatible with this version of TensorRT, expecting library version "
                 "{} got {}, please rebuild.")
OTHER_BUILD = ("1: [stdArchiveReader.cpp::StdArchiveReader::40] Error Code 1: Serialization (Serialization assertion "
               "stdVersionRead == serializationVersion failed.Version tag does not match. Note: Current Version: {}, "
               "Serialized Engine Version: {})")
OTHER_GPU = ("6: The engine plan file is generated on an incompatible device, expecting compute {}.{} got compute "
             "{}.{}, please rebuild.")
NO_MAGIC = ("1: [stdArchiveReader.cpp::StdArchiveReader::30] Error Code 1: Serialization (Serialization assertion "
            "magicTagRead == kMAGIC_TAG failed.Magic tag does not match)")
WRONG_SIZE = ("1: [stdArchiveReader.cpp::StdArchiveReader::35] Error Code 1: Serialization (Serialization assertion "
              "sizeRead == static_cast<uint64_t>(mEnd - mCurrent) failed.Size specified in header does not match "
              "archive size)")
NOT_DESERIALIZED = ("4: [runtime.cpp::deserializeCudaEngine::50] Error Code 4: Internal Error (Engine "
                    "deserialization failed.)")
CUDNN = "Using cuDNN as core library tactic source"

# RECALLED
NODE = "ModelImporter.cpp:773: While parsing node number {} [{} -> \"{}\"]:"
SEARCHING = "builtin_op_importers.cpp:4780: Searching for plugin: {}, plugin_version: 1, plugin_namespace: "
NO_CREATOR = "3: getPluginCreator could not find plugin: {} version: 1"
PARSER_ERROR = "{}:{}: ERROR: In function {}:\n[{}] {}"
IMPLICIT_BATCH = ("This version of the ONNX parser only supports TensorRT INetworkDefinitions with an explicit batch "
                  "dimension. Please ensure the network was created using the EXPLICIT_BATCH "
                  "NetworkDefinitionCreationFlag.")
OTHER_LOGGER = ("The logger passed into {} differs from one already provided for an existing builder, runtime, or "
                "refitter. Uses of the global logger, returned by nvinfer1::getLogger(), will return the existing "
                "value.\n")
OTHER_MODEL_OF_GPU = ("Using an engine plan file across different models of devices is not recommended and is likely "
                      "to affect performance or even cause errors.")
NO_PROFILE = ("4: [network.cpp::validate::2738] Error Code 4: Internal Error (Network has dynamic or shape inputs, "
              "but no optimization profile has been defined.)")
NOT_IN_PROFILE = ("4: [network.cpp::validate::2755] Error Code 4: Internal Error ({}: dynamic input is missing "
                  "dimensions in profile 0.)")
HALF_WITHOUT_FLAG = ("4: [network.cpp::validate::2556] Error Code 4: Internal Error (fp16 precision has been set for "
                     "a layer or layer output, but fp16 is not configured in the builder)")
NO_TACTIC = ("10: [optimizer.cpp::computeCosts::2011] Error Code 10: Internal Error (Could not find any "
             "implementation for node {}.)")
NO_ENGINE = ("2: [builder.cpp::buildSerializedNetwork::609] Error Code 2: Internal Error (Assertion enginePtr != "
             "nullptr failed. )")
NO_DEVICE = ("6: CUDA initialization failure with error: 100. Please check your CUDA installation:  "
             "http://docs.nvidia.com/cuda/cuda-installation-guide-linux/index.html")
NO_MEMORY_FIGURE = "Unable to determine GPU memory usage"
LITTLE_WORKSPACE = ("Some tactics do not have sufficient workspace memory to run. Increasing workspace size may "
                    "increase performance, please check verbose output.")
STRICT_TYPES = ("BuilderFlag::kSTRICT_TYPES is deprecated. Use kPREFER_PRECISION_CONSTRAINTS, kDIRECT_IO and "
                "kREJECT_EMPTY_ALGORITHMS.")
SLOW_INT8 = "Int8 support requested on hardware without native Int8 support, performance will be negatively affected."
NO_CALIBRATION = ("4: [standardEngineBuilder.cpp::initCalibrationParams::1402] Error Code 4: Internal Error "
                  "(Calibration failure occurred with no scaling factors detected.)")
LOCAL_CACHE = "Local timing cache in use. Profiling results in this builder pass will not be stored."
TENSORS = "Detected {} inputs and {} output network tensors."
PERSISTENT = "Total Device Persistent Memory: {}"
INIT_CUDA = "[MemUsageChange] Init CUDA: CPU +229, GPU +0, now: CPU 248, GPU 1750 (MiB)"
ALLOCATED = ("[MemUsageChange] TensorRT-managed allocation in engine deserialization: CPU +0, GPU +{}, now: CPU 0, "
             "GPU {} (MiB)")
NO_PLUGIN = ("1: [pluginV2Runner.cpp::load::291] Error Code 1: Serialization (Serialization assertion creator "
             "failed.Cannot deserialize plugin since corresponding IPluginCreator not found in Plugin Registry)")
OUT_OF_MEMORY = "1: [defaultAllocator.cpp::allocate::20] Error Code 1: Cuda Runtime (out of memory)"
TOO_LARGE = ("Requested amount of GPU memory ({} bytes) could not be allocated. There may not be enough free memory "
             "for allocation to succeed.")
WRONG_SHAPE = ("3: [executionContext.cpp::setBindingDimensions::949] Error Code 3: API Usage Error (Parameter check "
               "failed, at: runtime/api/executionContext.cpp::setBindingDimensions::949, condition: "
               "profileMaxDims.d[i] >= dimensions.d[i])")

# OWN
ALTERED = ("1: [stdArchiveReader.cpp::StdArchiveReader] Error Code 1: Serialization (the archive was altered: text "
           "of the simulator)")
NO_CONTEXT_MEMORY = "2: [executionContext.cpp::ExecutionContext] Error Code 2: OutOfMemory (no further information)"
NOT_WHOLE = ("9: [{}] Error Code 9: Internal Error (no implementation obeys the precision constraints, its output is "
             "Int32: text of the simulator)")
KERNEL = "4: [network.cpp::validate] Error Code 4: Internal Error ({}: kernel weights of another count: text of the simulator)"
CACHE_MISMATCH = ("3: [builderConfig.cpp::setTimingCache] Error Code 3: API Usage Error (timing cache of another "
                  "version or device)")
NO_CUBLAS_LT = ("3: [builderConfig.cpp::setTacticSources] Error Code 3: API Usage Error (cuBLASLt is not supported "
                "here)")
NOT_ENQUEUED = "1: [context.cpp::enqueueInternal] Error Code 1: Cuda Runtime ({})"
NOT_IMPLICIT = ("3: [executionContext.cpp::execute] Error Code 3: API Usage Error (Parameter check failed, "
                "condition: getEngine().hasImplicitBatchDimension(). Use executeV2 for explicit batch networks.)")
NO_EXTERNAL = "Failed to read the values of {} ({})"
ASKED_FOR = "Assertion failed (asked for by NANOFACE_SIM_FAULTS)"
TERMINATED = "terminate called after throwing an instance of 'pybind11::error_already_set'\n  what():  {}: {}\n"
