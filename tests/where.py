"""Which tests a twin of the board does not run again, and why: all others run on every Python that `make test` finds.

The host runs everything. The twin of Python 3.6 leaves out what reads text or runs what is not Python; the twin of the board
at run time has the same Python and the same packages but for numpy and onnx, and leaves out what touches neither. Of what
takes long and needs no network, the board's older numpy runs what is made of arrays, and nobody runs it twice. The Makefile
says with $NANOFACE_TEST_TWIN which twin it is; where that is not set, as in a run by hand, everything runs.
"""
VARIABLE = "NANOFACE_TEST_TWIN"
TWINS = PYTHON36, BOARD = "python36", "board"

READS_TEXT = "the host's Python reads the same text"
NO_PYTHON = "what is tried is no Python: it runs beside the host's Python"
OLDER_NUMPY = "arrays without a network: the twin of the board runs it, with the same packages and an older numpy"
TYPED_ON_A_PC = "whole lines as a PC's user types them: what each option does is tried on every Python by a test of its own"
SAME_PYTHON = "no array and no network in it: the twin of Python 3.6 runs it, whose other packages are the same"
SAME_DECODERS = "tables of files that OpenCV and FFmpeg decode: the twin of Python 3.6 runs them with the same versions"
ON_A_PC = "calibration makes tables on a PC: the twin of Python 3.6 runs it, a board never does"

ON_THE_HOST = {
    READS_TEXT: ("rules/test_docs.py", "rules/test_engine_rooms.py", "rules/test_imports.py", "rules/test_rooms.py",
                 "rules/test_style.py", "rules/test_waits.py", "unit/test_board_page.py"),
    TYPED_ON_A_PC: ("pipeline/test_coming_from.py", "pipeline/test_discover_whole.py", "pipeline/test_exports_whole.py"),
    NO_PYTHON: ("engines/test_crop_kernel_arithmetic.py", "unit/test_makefile.py"),
}
ON_THE_BOARD = {
    OLDER_NUMPY: (
        "contract/test_openseeface_socket.py", "contract/test_relay.py", "contract/test_ssi_peer.py",
        "unit/test_exports_meshes.py", "unit/test_exports_pictures.py", "unit/test_exports_raster.py",
        "unit/test_live_axes.py", "unit/test_live_openseeface.py", "unit/test_live_output.py",
        "unit/test_outputs_pictures.py", "unit/test_outputs_posebox.py", "unit/test_outputs_sparse.py",
        "unit/test_points68.py", "unit/test_stage_mean.py",
        "unit/test_live_signals.py", "unit/test_live_signs.py",
        "unit/test_live_testface.py", "unit/test_recording.py", "unit/test_relay_served.py", "unit/test_sources_replay.py",
        "unit/test_ssi_files.py", "unit/test_ssi_outputs.py"),
}
ON_PYTHON36 = {
    SAME_PYTHON: (
        "contract/test_attacks_files.py", "contract/test_attacks_network.py", "contract/test_attacks_passwords.py",
        "contract/test_discover_peer.py", "contract/test_discover_server.py",
        "contract/test_live_datagrams.py", "contract/test_live_mqtt_badbrokers.py", "contract/test_live_mqtt_broker.py",
        "contract/test_live_phones.py", "contract/test_live_socketio_peers.py", "contract/test_live_vts.py",
        "contract/test_live_web_hostile.py", "contract/test_live_ws_peers.py",
        "contract/test_seams_command.py", "pipeline/test_clock_steps.py", "pipeline/test_link.py",
        "pipeline/test_no_telemetry.py", "unit/test_apart.py", "unit/test_buildlock.py", "unit/test_cli.py",
        "unit/test_cli_ailia.py", "unit/test_cli_openseeface.py", "unit/test_cli_pose.py",
        "unit/test_commands.py", "unit/test_completion.py", "unit/test_config.py",
        "unit/test_config_source.py", "unit/test_console.py", "unit/test_discover_command.py",
        "unit/test_doctor_outputs.py", "unit/test_endings.py",
        "unit/test_hostile_playlists.py", "unit/test_live_listening.py", "unit/test_live_loop.py", "unit/test_live_mqtt.py",
        "unit/test_live_socketio.py", "unit/test_live_vts_session.py", "unit/test_live_ws.py", "unit/test_metrics.py",
        "unit/test_odd_figures.py", "unit/test_outputs_command.py", "unit/test_outputs_spec.py",
        "unit/test_reading.py", "unit/test_redact.py",
        "unit/test_service_attacks.py", "unit/test_service_camera.py", "unit/test_service_cuts.py",
        "unit/test_service_install.py", "unit/test_service_packages.py", "unit/test_service_selftest.py",
        "unit/test_service_units.py", "unit/test_setup_sh.py", "unit/test_sources_spec.py", "unit/test_start_status.py",
        "unit/test_statuslog.py", "unit/test_systemd.py", "unit/test_table.py", "unit/test_targets.py",
        "unit/test_waiting.py", "unit/test_wheel.py", "unit/test_words.py", "unit/test_wrong_input.py"),
    ON_A_PC: ("pipeline/test_shapes_of_clips.py", "unit/test_rendered_head.py", "unit/test_shape_plots.py"),
    SAME_DECODERS: ("unit/test_films.py", "unit/test_films_damaged.py", "unit/test_picture_damage.py"),
}
LEFT_OUT = {PYTHON36: dict(ON_THE_HOST, **ON_THE_BOARD), BOARD: dict(ON_THE_HOST, **ON_PYTHON36)}


def left_out(path, twin):
    """Why the twin of this name does not run the file (from tests/, with slashes), or None."""
    return next((reason for reason, paths in LEFT_OUT.get(twin, {}).items() if path in paths), None)
