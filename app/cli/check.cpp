#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "app/cli/standard_streams.h"
#include "core/attention/mechanism.h"
#include "core/attention/proofs.h"
#include "core/cuda/context.h"
#include "core/cuda/device.h"
#include "core/nn/model_proofs.h"

namespace linscope::app {
namespace {

std::vector<const MechanismInfo*> chosenMechanisms(const std::string& name) {
    if (!name.empty()) return {&findMechanism(name)};
    std::vector<const MechanismInfo*> all;
    for (const MechanismInfo& mechanism : mechanisms()) all.push_back(&mechanism);
    return all;
}

Json resultJson(const ProofResult& result) {
    return {{"mechanism", result.mechanism},
            {"device", nameOf(result.device)},
            {"proof", result.proof},
            {"worst", jsonNumber(result.worst)},
            {"bound", jsonNumber(result.bound)},
            {"passed", result.passed},
            {"cases", result.cases},
            {"worst_case", result.worstCase}};
}

void printTable(const std::vector<ProofResult>& results) {
    std::size_t wide = 5;
    for (const ProofResult& result : results) wide = std::max(wide, result.proof.size());
    fmt::print("{:<18}{:<8}{:<{}}{:>7}{:>12}{:>12}\n", "mechanism", "device", "proof", wide, "cases", "worst", "bound");
    for (const ProofResult& result : results)
        fmt::print("{:<18}{:<8}{:<{}}{:>7}{:>12.2e}{:>12.2e}  {}\n", result.mechanism, nameOf(result.device),
                   result.proof, wide, result.cases, result.worst, result.bound,
                   result.passed ? std::string("pass") : fmt::format("FAIL at {}", result.worstCase));
}

}  // namespace

int runCheck(const CheckArguments& arguments) {
    if (arguments.device == "cuda") requireCuda();
    std::vector<DeviceContext*> places;  // nullptr: the processor
    std::unique_ptr<DeviceContext> device;
    if (arguments.device != "cuda") places.push_back(nullptr);
    if (arguments.device != "cpu" && cudaAvailable())
        places.push_back((device = std::make_unique<DeviceContext>()).get());
    if (device) device->setPrecision(precisionOf(arguments.precision));
    std::vector<ProofResult> results;
    ProgressLine progress;
    for (const MechanismInfo* mechanism : chosenMechanisms(arguments.mechanism))
        for (DeviceContext* place : places) {
            const bool asked = arguments.device == "cuda" && !arguments.mechanism.empty();
            if (place != nullptr && mechanism->cudaForm == nullptr && !asked) continue;
            const auto tell = [&](const std::string& proof) {
                progress.update(fmt::format("proving {}: {}", mechanism->name, proof));
            };
            for (ProofResult& result : runProofs(*mechanism, tell, place)) results.push_back(std::move(result));
            if (place != nullptr) continue;
            tell("inside a model");
            for (ProofResult& result : runModelProofs(*mechanism)) results.push_back(std::move(result));
        }
    progress.finish();

    std::size_t failed = 0;
    for (const ProofResult& result : results) failed += result.passed ? 0 : 1;
    if (arguments.json) {
        Json list = Json::array();
        for (const ProofResult& result : results) list.push_back(resultJson(result));
        printJson(
            {{"device", arguments.device}, {"passed", failed == 0}, {"failed", failed}, {"proofs", std::move(list)}});
    } else {
        printTable(results);
        fmt::print("{} of {} proofs passed\n", results.size() - failed, results.size());
    }
    if (failed == 0) return 0;
    say("[check] every proof was required to hold, but {} of {} failed\n", failed, results.size());
    return 1;
}

}  // namespace linscope::app
