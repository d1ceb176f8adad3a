#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/json_text.h"
#include "app/cli/progress.h"
#include "core/attention/mechanism.h"
#include "core/attention/proofs.h"
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
    return {{"mechanism", result.mechanism},     {"proof", result.proof},   {"worst", jsonNumber(result.worst)},
            {"bound", jsonNumber(result.bound)}, {"passed", result.passed}, {"cases", result.cases},
            {"worst_case", result.worstCase}};
}

void printTable(const std::vector<ProofResult>& results) {
    std::size_t wide = 5;
    for (const ProofResult& result : results) wide = std::max(wide, result.proof.size());
    fmt::print("{:<18}{:<{}}{:>7}{:>12}{:>12}\n", "mechanism", "proof", wide, "cases", "worst", "bound");
    for (const ProofResult& result : results)
        fmt::print("{:<18}{:<{}}{:>7}{:>12.2e}{:>12.2e}  {}\n", result.mechanism, result.proof, wide, result.cases,
                   result.worst, result.bound,
                   result.passed ? std::string("pass") : fmt::format("FAIL at {}", result.worstCase));
}

}  // namespace

int runCheck(const CheckArguments& arguments) {
    requireDevice(arguments.device);
    std::vector<ProofResult> results;
    ProgressLine progress;
    for (const MechanismInfo* mechanism : chosenMechanisms(arguments.mechanism)) {
        const auto tell = [&](const std::string& proof) {
            progress.update(fmt::format("proving {}: {}", mechanism->name, proof));
        };
        for (ProofResult& result : runProofs(*mechanism, tell)) results.push_back(std::move(result));
        tell("inside a model");
        for (ProofResult& result : runModelProofs(*mechanism)) results.push_back(std::move(result));
    }
    progress.finish();

    std::size_t failed = 0;
    for (const ProofResult& result : results) failed += result.passed ? 0 : 1;
    if (arguments.json) {
        Json list = Json::array();
        for (const ProofResult& result : results) list.push_back(resultJson(result));
        printJson({{"device", "cpu"}, {"passed", failed == 0}, {"failed", failed}, {"proofs", std::move(list)}});
    } else {
        printTable(results);
        fmt::print("{} of {} proofs passed\n", results.size() - failed, results.size());
    }
    if (failed == 0) return 0;
    fmt::print(stderr, "[check] every proof was required to hold, but {} of {} failed\n", failed, results.size());
    return 1;
}

}  // namespace linscope::app
